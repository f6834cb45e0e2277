import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { duration } from '@kuik/contracts';
import type { RefreshTokenExchange } from '@kuik/registry';
import { ConfigError } from '@kuik/runtime';
import { z } from 'zod';
import { resolveUse } from './ambient-identity.ts';
import { AzureProvider } from './azure.ts';
import { EcrProvider } from './ecr.ts';
import { parseExecConfig } from './exec-config.ts';
import { ExecProvider } from './exec-provider.ts';
import { GoogleProvider } from './google.ts';
import type { LoginProvider } from './port.ts';

const use = z
  .enum(['auto', 'always', 'never'])
  .default('auto')
  .describe('auto: when the environment of this process names an identity of that cloud; always also tries the node');

export const credentialProvidersConfig = z
  .strictObject({
    ecr: z
      .strictObject({
        use,
        endpoint: z.url().optional().describe("Of the private registries' API: a VPC endpoint"),
        publicEndpoint: z.url().optional().describe("Of ECR Public's API"),
      })
      .prefault({})
      .describe('Amazon ECR and ECR Public'),
    google: z.strictObject({ use }).prefault({}).describe('Google Artifact Registry and Container Registry'),
    azure: z
      .strictObject({
        use,
        audience: z.string().default('https://containerregistry.azure.net').describe('Whom the access token is for'),
      })
      .prefault({})
      .describe('Azure Container Registry'),
    exec: z
      .strictObject({
        configFile: z
          .string()
          .optional()
          .describe("A kubelet's CredentialProviderConfig (kubelet.config.k8s.io/v1), read at start"),
        binDir: z.string().default('/etc/kuik/credential-providers').describe('Folder of the programs that it names'),
        timeout: duration({ minMs: 100 }).default(10_000).describe('How long one may run'),
      })
      .prefault({})
      .describe("kubelet's credential provider plugins, for every other registry"),
    patience: duration({ minMs: 100 })
      .default(2_500)
      .describe('How long a pull waits for a provider; what comes later is there for the next one'),
  })
  .prefault({})
  .describe("Logins that are the cluster's, tried after pull secrets");
export type CredentialProvidersConfig = z.output<typeof credentialProvidersConfig>;

/** The same with every `auto` decided by the environment. */
export function decideProviders(
  config: CredentialProvidersConfig,
  env: Readonly<Record<string, string | undefined>>,
): CredentialProvidersConfig {
  const { ecr, google, azure } = config;
  return {
    ...config,
    ecr: { ...ecr, use: resolveUse('ecr', ecr.use, env) },
    google: { ...google, use: resolveUse('google', google.use, env) },
    azure: { ...azure, use: resolveUse('azure', azure.use, env) },
  };
}

/**
 * The providers that are used: plugins first, which an operator chose by hand. What is not decided is not used. Throws ConfigError with every
 * mistake of the plugins' file, programs that cannot be run among them.
 */
export function configuredProviders(
  { ecr, google, azure, exec }: CredentialProvidersConfig,
  { now, exchange }: { readonly now: () => number; readonly exchange: RefreshTokenExchange },
): readonly LoginProvider[] {
  const providers: LoginProvider[] = exec.configFile === undefined ? [] : plugins(exec.configFile, exec, now);
  if (ecr.use === 'always') providers.push(new EcrProvider({ now, ...ecr }));
  if (google.use === 'always') providers.push(new GoogleProvider({ now }));
  if (azure.use === 'always') providers.push(new AzureProvider({ now, exchange, audience: azure.audience }));
  return providers;
}

function plugins(
  file: string,
  { binDir, timeout }: CredentialProvidersConfig['exec'],
  now: () => number,
): ExecProvider[] {
  const configs = parseExecConfig(readFileSync(file, 'utf8'), file);
  const mistakes = configs.flatMap(({ name }, index) => {
    try {
      accessSync(path.join(binDir, name), constants.X_OK);
      return [];
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? 'unreadable';
      return [{ path: `providers[${index}].name`, reason: `cannot run ${path.join(binDir, name)}: ${why}` }];
    }
  });
  if (mistakes.length > 0) throw new ConfigError(file, mistakes);
  return configs.map((config) => new ExecProvider(config, { folder: binDir, timeoutMs: timeout, now }));
}
