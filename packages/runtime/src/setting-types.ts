import { z } from 'zod';
import { Secret } from './secret.ts';
import { parseDuration, parseSize } from './units.ts';

/** A duration written as `5m` or `1h30m`; the value is in ms. Defaults are given in ms: `duration().default(300_000)`. */
export function duration(bounds: { minMs?: number; maxMs?: number } = {}) {
  return z.union([z.string(), z.number()]).transform((written, context) => {
    const ms = parseDuration(String(written));
    if (ms === undefined)
      return refuse(context, `${JSON.stringify(written)} is not a duration; write 500ms, 30s, 5m, 1h30m or 30d`);
    if (ms < (bounds.minMs ?? 0)) return refuse(context, `must be at least ${bounds.minMs}ms`);
    if (ms > (bounds.maxMs ?? Infinity)) return refuse(context, `must be at most ${bounds.maxMs}ms`);
    return ms;
  });
}

/** A size written as `64MiB`, `10Gi`, `5GB` or plain bytes; the value is in bytes. */
export function size() {
  return z.union([z.string(), z.number()]).transform((written, context) => {
    const bytes = parseSize(String(written));
    return bytes ?? refuse(context, `${JSON.stringify(written)} is not a size; write 512KiB, 64MiB or 10Gi`);
  });
}

/** A file that holds a secret (`redis.passwordFile`); the value is a Secret, its file was readable at start. */
export function secretFile() {
  return z.string().transform((path, context) => {
    try {
      const secret = new Secret(path);
      return secret.reveal() === '' ? refuse(context, `${path} is empty`) : secret;
    } catch (error) {
      return refuse(context, `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unreadable'}`);
    }
  });
}

/** An absolute URL of one of the protocols (`['nats', 'tls']`), kept as it was written without a trailing slash. */
export function serverUrl(protocols: readonly string[]) {
  return z.string().transform((written, context) => {
    const protocol = URL.canParse(written) ? new URL(written).protocol.slice(0, -1) : undefined;
    if (protocol !== undefined && protocols.includes(protocol)) return written.replace(/\/$/, '');
    // The text may hold a password: it is not repeated.
    return refuse(context, `must be a URL that starts with ${protocols.map((name) => `${name}://`).join(' or ')}`);
  });
}

/** `host:port`-less port to listen on; 0 lets the system choose. */
export function listenPort(): z.ZodNumber {
  return z.number().int().min(0).max(65_535);
}

/** Settings every service has, under `health`. */
export const healthSettings = z.object({
  host: z.string().default('0.0.0.0'),
  port: listenPort().default(8081),
});

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
