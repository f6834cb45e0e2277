/** Who a kubeconfig lets its holder be. */
export type KubeUser = { readonly token: string } | { readonly certificatePem: string; readonly privateKeyPem: string };

/** A kubeconfig with one cluster, one user and one context (`kuik`), as JSON, which is YAML. */
export function kubeconfig(server: string, caPem: string, user: KubeUser): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const credentials =
    'token' in user
      ? { token: user.token }
      : {
          'client-certificate-data': base64(user.certificatePem),
          'client-key-data': base64(user.privateKeyPem),
        };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'kuik', cluster: { server, 'certificate-authority-data': base64(caPem) } }],
    users: [{ name: 'kuik', user: credentials }],
    contexts: [{ name: 'kuik', context: { cluster: 'kuik', user: 'kuik' } }],
    'current-context': 'kuik',
  };
  return JSON.stringify(config, undefined, 2) + '\n';
}
