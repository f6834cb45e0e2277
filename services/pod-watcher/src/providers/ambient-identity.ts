/** Whether a cloud's provider is used: `auto` when the environment of this process says that it has an identity there. */
export type Use = 'auto' | 'always' | 'never';

/** Variables that the clouds' own webhooks and agents put into a pod that has an identity; a node's role leaves no trace there. */
const SIGNS = {
  ecr: [
    ['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN'],
    ['AWS_CONTAINER_CREDENTIALS_FULL_URI'],
    ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  ],
  google: [['GOOGLE_APPLICATION_CREDENTIALS']],
  azure: [
    ['AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_ID', 'AZURE_TENANT_ID'],
    ['AZURE_CLIENT_ID', 'AZURE_TENANT_ID', 'AZURE_CLIENT_SECRET'],
  ],
} as const;
export type Cloud = keyof typeof SIGNS;

/** What `auto` comes to: `always` when every variable of one of the cloud's signs is there. */
export function resolveUse(
  cloud: Cloud,
  use: Use,
  env: Readonly<Record<string, string | undefined>>,
): 'always' | 'never' {
  if (use !== 'auto') return use;
  const there = SIGNS[cloud].some((sign) => sign.every((name) => (env[name] ?? '') !== ''));
  return there ? 'always' : 'never';
}
