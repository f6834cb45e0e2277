import { isIP } from 'node:net';
import { KubeError } from '../kube-error.ts';
import type { Access, CallHeaders, TlsMaterial } from './access.ts';
import { readCredential, readToken } from './in-cluster.ts';
import type { KubeconfigContext, Pem } from './kubeconfig.ts';
import { Remembered } from './remembered.ts';

/** Access by a kubeconfig's own certificates, tokens or password; files are read again as they rotate. */
export function kubeconfigAccess(context: KubeconfigContext, tokenMaxAgeMs: number): Access {
  refuseOpenSecrets(context);
  const { tokenFile } = context;
  const token = tokenFile === undefined ? undefined : new Remembered(() => readToken(tokenFile), tokenMaxAgeMs);
  return {
    server: context.server,
    tls: () => tlsOf(context),
    headers: async () => {
      const authorization = token === undefined ? fixedAuthorization(context) : `Bearer ${await token.get()}`;
      return { ...(authorization === undefined ? {} : { authorization }), ...impersonation(context) };
    },
    forget: () => token?.forget(),
  };
}

/** The connection's part of a context, without a plugin's certificate. */
export async function tlsOf(context: KubeconfigContext): Promise<TlsMaterial> {
  const { ca, cert, key, servername, insecure } = context;
  return {
    ...(ca === undefined ? {} : { ca: await read(ca, 'the certificate authority') }),
    ...(cert === undefined ? {} : { cert: await read(cert, 'the client certificate') }),
    ...(key === undefined ? {} : { key: await read(key, 'the client key') }),
    ...(servername === undefined ? {} : { servername }),
    ...(insecure ? { rejectUnauthorized: false } : {}),
  };
}

/** `Impersonate-User` and `-Group` of the context: never dropped, which would act with more rights than were meant. */
export function impersonation({ impersonate }: KubeconfigContext): CallHeaders {
  if (impersonate === undefined) return {};
  const { user, groups } = impersonate;
  return { 'impersonate-user': user, ...(groups.length === 0 ? {} : { 'impersonate-group': groups }) };
}

/** Plain http is for loopback (a `kubectl proxy`, a test); a secret never travels it further. */
function refuseOpenSecrets(context: KubeconfigContext): void {
  const { protocol, hostname } = new URL(context.server);
  const loopback =
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
  const secret = context.token !== undefined || context.tokenFile !== undefined || context.basic !== undefined;
  if (protocol === 'http:' && secret && !loopback) {
    throw new KubeError(
      'invalid',
      `cannot use kubeconfig ${context.file}: server ${context.server} would be sent the user's credential unencrypted; use https`,
    );
  }
}

function fixedAuthorization({ token, basic }: KubeconfigContext): string | undefined {
  if (token !== undefined) return `Bearer ${token}`;
  if (basic === undefined) return undefined;
  return `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`;
}

async function read(pem: Pem, what: string): Promise<string | Buffer> {
  return 'data' in pem ? pem.data : readCredential(pem.file, what);
}
