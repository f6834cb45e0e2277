import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { createAuthority, issueCertificate } from '@kuik/runtime';
import { makeCertificates, planCertificates, splitBundle, type CertificateSet } from './plan-certificates.ts';

const DAY_MS = 86_400_000;
const start = new Date('2026-11-01T00:00:00Z');
const at = (days: number) => new Date(start.getTime() + days * DAY_MS);
const wish = { hosts: ['kuik-webhook.kuik-system.svc', '127.0.0.1', '::1'], days: 30 };
const made = makeCertificates(planCertificates(undefined, wish, start), undefined, wish, start);
const other = createAuthority({ commonName: 'other', days: 300, now: start });
const foreign = issueCertificate(other, {
  commonName: 'x',
  days: 30,
  now: start,
  hosts: wish.hosts,
  usages: ['server'],
});

describe('planCertificates', () => {
  it.each<[string, CertificateSet | undefined, number, Partial<typeof wish>, string, string]>([
    ['nothing stored', undefined, 0, {}, 'everything', 'Missing'],
    ['fresh', made, 0, {}, 'nothing', 'Valid'],
    ['in its first two thirds', made, 19.9, {}, 'nothing', 'Valid'],
    ['in its last third', made, 20.1, {}, 'certificate', 'Expires'],
    ['expired', made, 40, {}, 'certificate', 'Expires'],
    ['the authority outlives one and a half certificates', made, 254, {}, 'certificate', 'Expires'],
    ['the authority does not', made, 256, {}, 'everything', 'AuthorityExpires'],
    ['a new name', made, 0, { hosts: ['kuik-webhook.other.svc'] }, 'certificate', 'NamesMissing'],
    ['fewer names', made, 0, { hosts: ['127.0.0.1'] }, 'nothing', 'Valid'],
    [
      'another spelling of a name',
      made,
      0,
      { hosts: ['0:0:0:0:0:0:0:1', 'KUIK-WEBHOOK.kuik-system.svc'] },
      'nothing',
      'Valid',
    ],
    ['no authority', { ...made, authorities: [] }, 0, {}, 'everything', 'Unreadable'],
    ['garbage', { ...made, certificate: 'x' }, 0, {}, 'everything', 'Unreadable'],
    ['no key', { ...made, key: '' }, 0, {}, 'everything', 'Unreadable'],
    ["another authority's key", { ...made, authorityKey: other.privateKey }, 0, {}, 'everything', 'Unreadable'],
    [
      "another authority's certificate",
      { ...made, certificate: foreign.certificate, key: foreign.privateKey },
      0,
      {},
      'everything',
      'Unreadable',
    ],
    [
      'a garbled second authority',
      { ...made, authorities: [...made.authorities, 'x'] },
      0,
      {},
      'everything',
      'Unreadable',
    ],
  ])('%s', (_, set, days, change, make, reason) => {
    expect(planCertificates(set, { ...wish, ...change }, at(days))).toEqual({ make, reason });
  });
});

describe('makeCertificates', () => {
  const renew = (set: CertificateSet, days: number, change: Partial<typeof wish> = {}) => {
    const wanted = { ...wish, ...change };
    return makeCertificates(planCertificates(set, wanted, at(days)), set, wanted, at(days));
  };

  it('makes what the plan then finds valid', () => {
    expect(planCertificates(made, wish, start).make).toBe('nothing');
    expect(new X509Certificate(made.certificate).checkHost('kuik-webhook.kuik-system.svc')).toBeDefined();
    expect(new X509Certificate(made.certificate).checkIP('127.0.0.1')).toBeDefined();
  });

  it('returns a valid set as it is', () => {
    expect(renew(made, 1)).toBe(made);
  });

  it('renews the certificate under the same authority', () => {
    const next = renew(made, 25);
    expect(next.authorities).toEqual(made.authorities);
    expect(next.certificate).not.toBe(made.certificate);
    expect(planCertificates(next, wish, at(25)).make).toBe('nothing');
  });

  it('keeps the names of a replica that is configured otherwise: the two do not take turns', () => {
    const next = renew(made, 0, { hosts: ['new.test'] });
    expect(planCertificates(next, wish, at(0)).make).toBe('nothing');
    expect(planCertificates(next, { ...wish, hosts: ['new.test'] }, at(0)).make).toBe('nothing');
  });

  it('replaces the authority and keeps the old one trusted until it expires', () => {
    const next = renew(made, 256);
    expect(next.authorities).toHaveLength(2);
    expect(next.authorities[1]).toBe(made.authorities[0]);
    expect(new X509Certificate(next.certificate).verify(new X509Certificate(next.authorities[0]!).publicKey)).toBe(
      true,
    );
    expect(renew(next, 256 + 260).authorities).toHaveLength(2);
    expect(renew(made, 301).authorities).toHaveLength(1);
  });

  it('starts anew when what is stored cannot be read', () => {
    const next = renew({ ...made, key: '' }, 0);
    expect(next.authorities).toHaveLength(1);
    expect(planCertificates(next, wish, start).make).toBe('nothing');
  });
});

describe('splitBundle', () => {
  it('is the inverse of joining', () => {
    expect(splitBundle(made.authorities[0]! + other.certificate)).toEqual([made.authorities[0], other.certificate]);
  });
  it('finds nothing in nothing', () => {
    expect(splitBundle('')).toEqual([]);
  });
});
