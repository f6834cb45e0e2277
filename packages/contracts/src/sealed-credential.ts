import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { z } from 'zod';

/** Pull secrets (`namespace/name`) whose logins were tried, refused ones and the one that this credential is of. Names only. */
export const triedSecrets = z.array(z.string().max(512)).max(64).optional();

/** Pull secrets that may be meant for a repository and gave no login: each with what is wrong with it, never with what it holds. */
export const unreadSecrets = z
  .array(z.object({ name: z.string().max(512), mistake: z.string().max(512) }))
  .max(8)
  .optional();
export type UnreadSecret = NonNullable<z.infer<typeof unreadSecrets>>[number];

/**
 * Whom a registry counts requests with a credential for: an opaque hash of its login, the same for every repository and whoever asks. Absent: nobody in
 * particular.
 */
export const account = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .optional();

/** What the broker hands out: pull-only, short-lived where the registry allows it. In memory only, never logged. */
export const brokeredCredential = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('anonymous'), tried: triedSecrets, unread: unreadSecrets }),
  z.object({
    kind: z.literal('bearer'),
    token: z.string(),
    expiresAtMs: z.number(),
    account,
    tried: triedSecrets,
    unread: unreadSecrets,
    /** The registry gave it to nobody in particular. */
    anonymous: z.literal(true).optional(),
  }),
  z.object({
    kind: z.literal('header'),
    value: z.string(),
    expiresAtMs: z.number(),
    account,
    tried: triedSecrets,
    unread: unreadSecrets,
  }),
]);
export type BrokeredCredential = z.infer<typeof brokeredCredential>;

const INFO = 'kuik sealed credential v1';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A requester's key pair: `publicKey` goes into the request, `privateKey` opens the reply. */
export function newSealingKey(): { publicKey: string; privateKey: KeyObject } {
  const pair = generateKeyPairSync('x25519');
  return {
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    privateKey: pair.privateKey,
  };
}

/**
 * Seals a credential to the requester's X25519 key: ephemeral key agreement, HKDF-SHA256, AES-256-GCM (RFC 7748, 5869, 5116).
 * Throws TypeError for a malformed key.
 */
export function sealCredential(credential: BrokeredCredential, publicKey: string): string {
  const recipient = readPublicKey(publicKey);
  const ephemeral = generateKeyPairSync('x25519');
  const ephemeralKey = ephemeral.publicKey.export({ type: 'spki', format: 'der' });
  const key = deriveKey(ephemeral.privateKey, recipient, ephemeralKey);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const text = Buffer.concat([cipher.update(JSON.stringify(credential), 'utf8'), cipher.final()]);
  return [ephemeralKey, iv, cipher.getAuthTag(), text].map((part) => part.toString('base64')).join('.');
}

/** Opens what was sealed to `privateKey`; throws when it was sealed to another key, or changed. */
export function openCredential(sealed: string, privateKey: KeyObject): BrokeredCredential {
  const [ephemeralKey, iv, tag, text] = sealed.split('.').map((part) => Buffer.from(part, 'base64'));
  if (ephemeralKey === undefined || iv?.length !== IV_BYTES || tag?.length !== TAG_BYTES || text === undefined) {
    throw new TypeError('not a sealed credential');
  }
  const key = deriveKey(privateKey, readPublicKey(ephemeralKey.toString('base64')), ephemeralKey);
  const decipher = createDecipheriv('aes-256-gcm', key, iv);
  decipher.setAuthTag(tag);
  const opened = Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
  return brokeredCredential.parse(JSON.parse(opened));
}

function deriveKey(privateKey: KeyObject, publicKey: KeyObject, salt: Buffer): Buffer {
  const secret = diffieHellman({ privateKey, publicKey });
  return Buffer.from(hkdfSync('sha256', secret, salt, INFO, 32));
}

function readPublicKey(text: string): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(text, 'base64'), type: 'spki', format: 'der' });
    if (key.asymmetricKeyType === 'x25519') return key;
  } catch {
    // Falls through: one message for every malformed key.
  }
  throw new TypeError('publicKey is not an X25519 key (SPKI DER, base64)');
}
