import { describe, expect, it } from '@jest/globals';
import { addressKind, createAddressPolicy } from './address-policy.ts';

describe('addressKind', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::127.0.0.1', 'loopback'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['2002:7f00:1::', 'loopback'],
    ['2001:0:0:0:0:0:80ff:fffe', 'loopback'],
    ['169.254.169.254', 'metadata'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd12:3456::1', 'private'],
    ['fc00::1', 'private'],
    ['2002:a00:1::', 'private'],
    ['0.0.0.0', 'reserved'],
    ['::', 'reserved'],
    ['224.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['ff02::1', 'reserved'],
    ['198.18.0.1', 'reserved'],
    ['not an address', 'reserved'],
    ['172.15.255.255', undefined],
    ['172.32.0.1', undefined],
    ['1.1.1.1', undefined],
    ['140.82.121.34', undefined],
    ['2606:4700::1111', undefined],
    ['::ffff:8.8.8.8', undefined],
    ['64:ff9b::808:808', undefined],
  ])('%s is %s', (address, kind) => {
    expect(addressKind(address)).toBe(kind);
  });
});

describe('createAddressPolicy', () => {
  const policy = createAddressPolicy({
    refuse: ['203.0.114.0/24', '2a00:1::/32'],
    allow: ['10.1.0.0/16', 'fd00:1::/32'],
  });
  it.each([
    ['10.1.2.3', undefined],
    ['::ffff:10.1.2.3', undefined],
    ['10.2.0.1', 'private'],
    ['fd00:1::5', undefined],
    ['fd00:2::5', 'private'],
    ['203.0.114.9', 'refused by configuration'],
    ['2a00:1::9', 'refused by configuration'],
    ['8.8.8.8', undefined],
  ])('%s: %s', (address, verdict) => {
    expect(policy.refuses(address)).toBe(verdict);
  });

  it('names the CIDR that is none', () => {
    expect(() => createAddressPolicy({ refuse: ['cluster'] })).toThrow('"cluster" is not a CIDR');
  });
});
