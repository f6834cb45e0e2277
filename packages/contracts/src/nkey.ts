import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

/**
 * Users of NATS by their nkeys (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth): Ed25519 keys, as text in
 * base32. By Node's own cryptography: the library's is written in JavaScript, and takes 40 ms of a process's first connection.
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** What a text begins with: `S` and `U`, five bits each. */
const PREFIX = { seed: 18 << 3, user: 20 << 3 };
const KEY_BYTES = 32;
/** Before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A new user's seed, `SU...`: a secret. */
export function createNkeySeed(): string {
  const { d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const role = PREFIX.user;
  return encode(Buffer.from([PREFIX.seed | (role >> 5), (role & 31) << 3]), Buffer.from(d!, 'base64url'));
}

/** The public key, `U...`, of a user's seed. Throws Error when that is none; its text is not shown. */
export function publicNkey(seed: string): string {
  const { x } = createPublicKey(keyOf(seed)).export({ format: 'jwk' });
  return encode(Buffer.from([PREFIX.user]), Buffer.from(x!, 'base64url'));
}

/** What a client of NATS says of itself when it connects: its public key and the server's nonce, signed. Throws as `publicNkey`. */
export function nkeyAnswer(seed: string, nonce = ''): { nkey: string; sig: string } {
  return {
    nkey: publicNkey(seed),
    sig: nonce === '' ? '' : sign(null, Buffer.from(nonce), keyOf(seed)).toString('base64'),
  };
}

function keyOf(seed: string): KeyObject {
  const bytes = decode(seed);
  const ofUser = bytes !== undefined && bytes.length === 2 + KEY_BYTES && seed.startsWith('SU');
  if (!ofUser) throw new Error('not the seed of a NATS user: SU and 56 characters are expected');
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, bytes.subarray(2)]), format: 'der', type: 'pkcs8' });
}

function encode(prefix: Buffer, key: Buffer): string {
  const payload = Buffer.concat([prefix, key]);
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc16(payload));
  let [bits, held, text] = [0, 0, ''];
  for (const byte of [...payload, ...sum]) {
    bits = (bits << 8) | byte;
    for (held += 8; held >= 5; held -= 5) text += ALPHABET[(bits >> (held - 5)) & 31];
    bits &= 0xff;
  }
  return held === 0 ? text : text + ALPHABET[(bits << (5 - held)) & 31];
}

/** The bytes before the check sum; undefined when it does not fit. */
function decode(text: string): Buffer | undefined {
  const bytes: number[] = [];
  let [bits, held] = [0, 0];
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value === -1) return undefined;
    bits = ((bits << 5) | value) & 0xfff;
    held += 5;
    if (held >= 8) bytes.push((bits >> (held -= 8)) & 0xff);
  }
  const all = Buffer.from(bytes);
  if (all.length < 4) return undefined;
  const payload = all.subarray(0, -2);
  return crc16(payload) === all.readUInt16LE(payload.length) ? payload : undefined;
}

/** CRC-16/XMODEM. */
function crc16(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1)
      sum = (sum & 0x8000) === 0 ? (sum << 1) & 0xffff : ((sum << 1) ^ 0x1021) & 0xffff;
  }
  return sum;
}
