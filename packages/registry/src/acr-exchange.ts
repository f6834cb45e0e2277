import { codeOfStatus, describeUrl, RegistryError } from './errors.ts';
import type { RegistrySite } from './authorizer.ts';
import type { HttpClient } from './http-client.ts';

const BODY_MAX = 256 * 1024;

/**
 * Exchanges an access token of Microsoft Entra for a refresh token of one Azure registry, at that registry itself.
 * Throws RegistryError. Source: Azure/acr docs/AAD-OAuth.md, `POST /oauth2/exchange`.
 */
export async function exchangeAtAzure(
  { site, host, http }: { site: RegistrySite; host: string; http: Pick<HttpClient, 'request'> },
  accessToken: string,
  signal?: AbortSignal,
): Promise<string> {
  const url = new URL('/oauth2/exchange', site.base);
  const form = new URLSearchParams({ grant_type: 'access_token', service: host, access_token: accessToken });
  const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await http.request({ method: 'POST', url, headers, body: form.toString(), signal });
  const doing = `exchange at ${describeUrl(url)}`;
  if (answer.status !== 200) {
    answer.discard();
    throw new RegistryError(codeOfStatus(answer.status), `${doing}: status ${answer.status}`, {
      status: answer.status,
    });
  }
  const token = refreshTokenOf(await answer.read(BODY_MAX));
  if (token === undefined) throw new RegistryError('invalid-response', `${doing}: the answer holds no refresh token`);
  return token;
}

function refreshTokenOf(body: Buffer): string | undefined {
  try {
    const { refresh_token: token } = JSON.parse(body.toString('utf8')) as { refresh_token?: unknown };
    return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) ? token : undefined;
  } catch {
    return undefined;
  }
}
