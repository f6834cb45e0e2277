import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Typed lint for the whole tree; `tsconfigRootDir` is the folder that holds tsconfig.json. */
export function config(tsconfigRootDir) {
  return tseslint.config(
    { ignores: ['**/dist/**', '**/node_modules/**', '.kuik/**', '**/*.mjs', '**/*.cjs', '!scripts/bootstrap.mjs'] },
    js.configs.recommended,
    tseslint.configs.recommendedTypeChecked,
    {
      languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir } },
      rules: {
        '@typescript-eslint/consistent-type-imports': 'error',
        '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
        '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
        '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
        '@typescript-eslint/no-non-null-assertion': 'off',
        'no-restricted-syntax': [
          'error',
          { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
          {
            selector: "MemberExpression[object.name='process'][property.name='env']",
            message: 'process.env is read in packages/runtime only: pass configuration in.',
          },
        ],
        eqeqeq: 'error',
      },
    },
    {
      // The environment's own readers: config loading, what kubelet tells every pod, the testbed (which finds servers), the size of tests and the start scripts.
      files: [
        'packages/{runtime,testbed,tooling}/src/**',
        'packages/kube/src/access/in-cluster.ts',
        'e2e/**',
        'bench/**',
        'scripts/**',
      ],
      rules: {
        'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' }],
      },
    },
    {
      // Conformance suites are test code, too: handlers of asynchronous ports.
      files: ['**/*.test.ts', 'packages/*/src/conformance/**'],
      rules: { '@typescript-eslint/require-await': 'off', '@typescript-eslint/unbound-method': 'off' },
    },
    {
      // Runs on the Node that a machine has (>= 18), without types: its syntax and the names that it uses are looked at.
      files: ['scripts/bootstrap.mjs'],
      extends: [tseslint.configs.disableTypeChecked],
      languageOptions: {
        ecmaVersion: 2022,
        globals: Object.fromEntries(
          ['clearInterval', 'console', 'process', 'setInterval'].map((name) => [name, 'readonly']),
        ),
      },
      rules: { 'no-undef': 'error' },
    },
  );
}
