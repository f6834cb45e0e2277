import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import { createAuthority, issueCertificate, type CertificateOptions, type KeyAndCertificate } from './x509.ts';

const now = new Date();
const authority = createAuthority({ commonName: 'test authority', days: 10, now });
const leaf = (options: Partial<CertificateOptions> = {}) =>
  issueCertificate(authority, { commonName: 'leaf', days: 1, now, usages: ['server'], ...options });

describe('createAuthority', () => {
  const certificate = new X509Certificate(authority.certificate);

  it('is a certificate authority that signed itself', () => {
    expect(certificate.ca).toBe(true);
    expect(certificate.subject).toBe('CN=test authority');
    expect(certificate.issuer).toBe('CN=test authority');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(authority.privateKey))).toBe(true);
  });

  it('is valid from a little before now, for the days asked', () => {
    const seconds = (text: string): number => Math.round(new Date(text).getTime() / 1000);
    expect(seconds(certificate.validFrom)).toBe(Math.floor(now.getTime() / 1000) - 300);
    expect(seconds(certificate.validTo)).toBe(Math.floor(now.getTime() / 1000) + 10 * 86_400);
  });

  it('can outlive 2049, when the encoding of dates changes', () => {
    const old = new X509Certificate(
      createAuthority({ commonName: 'x', days: 20_000, now: new Date('2026-01-02T03:04:05.678Z') }).certificate,
    );
    expect(new Date(old.validTo).toISOString()).toBe('2080-10-05T03:04:05.000Z');
    expect(new Date(old.validFrom).toISOString()).toBe('2026-01-02T02:59:05.000Z');
  });
});

describe('issueCertificate', () => {
  it('signs a leaf with its names, which the authority vouches for', () => {
    const certificate = new X509Certificate(
      leaf({ organizations: ['system:masters'], hosts: ['a.example.test', '*.b.example.test', '127.0.0.1', '::1'] })
        .certificate,
    );
    const issuer = new X509Certificate(authority.certificate);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkIssued(issuer)).toBe(true);
    expect(certificate.verify(issuer.publicKey)).toBe(true);
    expect(certificate.subject).toBe('O=system:masters\nCN=leaf');
    expect(certificate.checkHost('a.example.test')).toBe('a.example.test');
    expect(certificate.checkHost('x.b.example.test')).toBe('*.b.example.test');
    expect(certificate.checkHost('c.example.test')).toBeUndefined();
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('::1')).toBe('::1');
    expect(certificate.checkIP('127.0.0.2')).toBeUndefined();
  });

  it.each([
    ['::', '0:0:0:0:0:0:0:0'],
    ['2001:db8::5:0:1', '2001:DB8:0:0:0:5:0:1'],
    ['fe80:1:2:3:4:5:6:7', 'FE80:1:2:3:4:5:6:7'],
    ['::ffff:10.0.0.1', '0:0:0:0:0:FFFF:A00:1'],
    ['10.20.30.255', '10.20.30.255'],
  ])('writes address %s', (address, written) => {
    expect(new X509Certificate(leaf({ hosts: [address] }).certificate).subjectAltName).toBe(`IP Address:${written}`);
  });

  it.each(['', 'a b', 'a..b', 'http://a', 'a/b', 'a\0b'])('refuses %j as a host', (host) => {
    expect(() => leaf({ hosts: [host] })).toThrow('not a host name or IP address');
  });

  it('never repeats a serial number or a key', () => {
    const made = Array.from({ length: 20 }, () => new X509Certificate(leaf().certificate));
    expect(new Set(made.map((certificate) => certificate.serialNumber)).size).toBe(20);
    expect(new Set(made.map((certificate) => certificate.fingerprint256)).size).toBe(20);
  });

  // TLS peers check what the other's certificate may be used for.
  it.each<[CertificateOptions['usages'], CertificateOptions['usages'], string]>([
    [['server'], ['client'], 'hello'],
    [['server', 'client'], ['server', 'client'], 'hello'],
    [['client'], ['client'], 'the client refuses'],
    [['server'], ['server'], 'the server refuses'],
  ])('a server with usages %j and a client with %j: %s', async (serverUsages, clientUsages, expected) => {
    expect(await handshake(leaf({ usages: serverUsages, hosts: [NAME] }), leaf({ usages: clientUsages }))).toBe(
      expected,
    );
  });

  it('is not trusted under another authority of the same name', async () => {
    const other = createAuthority({ commonName: 'test authority', days: 1, now });
    const server = issueCertificate(other, { commonName: 'leaf', days: 1, now, usages: ['server'], hosts: [NAME] });
    expect(await handshake(server, leaf({ usages: ['client'] }))).toBe('the client refuses');
  });
});

const NAME = 'served.example.test';

/** Connects with certificates on both sides, each trusting `authority` alone, and tells how it went. */
async function handshake(server: KeyAndCertificate, client: KeyAndCertificate): Promise<string> {
  const ca = authority.certificate;
  const options = { key: server.privateKey, cert: server.certificate, ca, requestCert: true, rejectUnauthorized: true };
  const listener = createServer(options, (socket) => socket.on('error', () => undefined).end('hello'));
  const verdicts: string[] = [];
  listener.on('tlsClientError', (error: Error) => {
    // The other side's alert says "alert"; what is left is this side's own verdict.
    if (!/alert/i.test(error.message)) verdicts.push('the server refuses');
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: NAME,
    ca,
    key: client.privateKey,
    cert: client.certificate,
  });
  socket.on('data', (bytes) => verdicts.push(String(bytes)));
  socket.on('error', (error: Error) => {
    if (!/alert|ECONNRESET/i.test(error.message)) verdicts.push('the client refuses');
  });
  await new Promise((resolve) => socket.once('close', resolve));
  listener.close();
  await once(listener, 'close');
  return verdicts.join(', ');
}
