import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import * as der from './der.ts';

/** A private key (PKCS #8) and the certificate of its public key, both PEM. */
export interface KeyAndCertificate {
  readonly privateKey: string;
  readonly certificate: string;
}

export interface AuthorityOptions {
  readonly commonName: string;
  readonly days: number;
  /** The present; the certificate is valid from five minutes before it, for clocks that disagree. */
  readonly now: Date;
}

export interface CertificateOptions extends AuthorityOptions {
  /** Subject organizations: a Kubernetes client's groups. */
  readonly organizations?: readonly string[];
  /** Subject alternative names: DNS names (wildcards allowed) and IP addresses. */
  readonly hosts?: readonly string[];
  readonly usages: readonly ('server' | 'client')[];
}

const SKEW_MS = 5 * 60_000;
const DAY_MS = 86_400_000;

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
} as const;

/** A new self-signed ECDSA P-256 authority (RFC 5280); it may sign leaf certificates only. */
export function createAuthority(options: AuthorityOptions): KeyAndCertificate {
  const { privateKey, publicKey } = newKey();
  const subject = distinguishedName(options.commonName, []);
  const keyId = keyIdentifier(publicKey);
  const extensions = [
    extension(OID.basicConstraints, true, der.sequence(der.boolean(true), der.unsignedInteger(Buffer.from([0])))),
    // digitalSignature, keyCertSign, cRLSign
    extension(OID.keyUsage, true, der.bitString(Buffer.from([0b1000_0110]), 1)),
    extension(OID.subjectKeyId, false, der.octetString(keyId)),
  ];
  return certify({ options, subject, issuer: subject, publicKey, extensions, privateKey, signer: privateKey });
}

/** A new ECDSA P-256 key with a certificate signed by `authority`. Throws for a host that is neither name nor address. */
export function issueCertificate(authority: KeyAndCertificate, options: CertificateOptions): KeyAndCertificate {
  const { privateKey, publicKey } = newKey();
  const issuer = new X509Certificate(authority.certificate);
  const hosts = options.hosts ?? [];
  const extensions = [
    extension(OID.basicConstraints, true, der.sequence()),
    extension(OID.keyUsage, true, der.bitString(Buffer.from([0b1000_0000]), 7)),
    extension(OID.extendedKeyUsage, false, der.sequence(...options.usages.map((usage) => der.objectId(OID[usage])))),
    extension(OID.subjectKeyId, false, der.octetString(keyIdentifier(publicKey))),
    extension(OID.authorityKeyId, false, der.sequence(der.tlv(0x80, keyIdentifier(issuer.publicKey)))),
    ...(hosts.length > 0 ? [extension(OID.subjectAltName, false, der.sequence(...hosts.map(generalName)))] : []),
  ];
  return certify({
    options,
    subject: distinguishedName(options.commonName, options.organizations ?? []),
    issuer: subjectOf(issuer),
    publicKey,
    extensions,
    privateKey,
    signer: createPrivateKey(authority.privateKey),
  });
}

interface Unsigned {
  readonly options: AuthorityOptions;
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly privateKey: KeyObject;
  readonly signer: KeyObject;
}

function certify(unsigned: Unsigned): KeyAndCertificate {
  const { now, days } = unsigned.options;
  const algorithm = der.sequence(der.objectId(OID.ecdsaWithSha256));
  // A positive serial number of 126 random bits (RFC 5280 §4.1.2.2: at most 20 octets, never zero).
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const toBeSigned = der.sequence(
    der.tlv(0xa0, der.unsignedInteger(Buffer.from([2]))),
    der.unsignedInteger(serial),
    algorithm,
    unsigned.issuer,
    der.sequence(der.time(new Date(now.getTime() - SKEW_MS)), der.time(new Date(now.getTime() + days * DAY_MS))),
    unsigned.subject,
    unsigned.publicKey.export({ type: 'spki', format: 'der' }),
    der.tlv(0xa3, der.sequence(...unsigned.extensions)),
  );
  const signature = sign('sha256', toBeSigned, { key: unsigned.signer, dsaEncoding: 'der' });
  return {
    privateKey: unsigned.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: pem(der.sequence(toBeSigned, algorithm, der.bitString(signature))),
  };
}

function newKey(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.objectId(id), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}

function distinguishedName(commonName: string, organizations: readonly string[]): Buffer {
  const attribute = (id: string, text: string): Buffer => der.set(der.sequence(der.objectId(id), der.utf8String(text)));
  return der.sequence(
    ...organizations.map((organization) => attribute(OID.organization, organization)),
    attribute(OID.commonName, commonName),
  );
}

/** SHA-1 of the public key's bits (RFC 5280 §4.2.1.2, method 1): an identifier, not a safeguard. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const bits = der.children(publicKey.export({ type: 'spki', format: 'der' }))[1] ?? Buffer.alloc(0);
  // Tag, length and the count of unused bits are not hashed; a P-256 key's length takes one byte.
  return createHash('sha1').update(bits.subarray(3)).digest();
}

/** The subject as it stands in the certificate: a verifier compares names byte by byte. */
function subjectOf(certificate: X509Certificate): Buffer {
  const [toBeSigned = Buffer.alloc(0)] = der.children(certificate.raw);
  // version, serialNumber, signature, issuer, validity, subject
  const subject = der.children(toBeSigned)[5];
  if (!subject) throw new Error('the authority is not an X.509 v3 certificate');
  return subject;
}

function generalName(host: string): Buffer {
  if (isIP(host)) return der.tlv(0x87, addressBytes(host));
  if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(host)) throw new Error(`not a host name or IP address: ${host}`);
  return der.tlv(0x82, Buffer.from(host, 'ascii'));
}

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  // The URL parser writes an IPv6 address in its one canonical, hexadecimal form.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
