import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';

const CHECKOUT = path.resolve(import.meta.dirname, '..');
const document = readFileSync(path.join(CHECKOUT, 'docs/hardening.md'), 'utf8');

/** Threat, file and test of each line of the document's tables. */
const lines = document
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (threat|---)/.test(line))
  .map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  );

/** What a cache in front of other registries has to stand; the threats of the document that answer it, or what the document says of it under "Not done". */
const CHECKLIST: readonly (readonly [what: string, answers: readonly string[] | { readonly notDone: string }])[] = [
  ['no host is asked that no pod and no resource names', ['hosts that nobody uses', 'the same, on a whole stack']],
  ['the reference grammar decides what a host is: user info', ['user info in the host']],
  ['... escaped slashes', ['escaped slashes, NULs, dots']],
  ['... dots and empty segments', ['`..` and empty segments']],
  ['... empty labels', ['an empty label in the host']],
  ['... addresses, however they are written', ['an IPv6 literal', 'decimal and hexadecimal addresses']],
  ['... unusual ports', { notDone: 'Unusual ports' }],
  ['... a number at its end that may be a port', ['a name with two meanings', 'the same, on the wire']],
  ['no loopback', ['loopback as a registry']],
  ['no link-local address, nor the metadata service', ['the metadata service as a registry']],
  ['no private address unless it is listed', ['private, link-local and mapped addresses']],
  ["none of the cluster's own", ["the cluster's own ranges"]],
  ['a name is resolved once', ['a name that resolves to something else the second time']],
  [
    'the same at each redirect',
    ['a redirect to an address of ours', 'a redirect from TLS to plain text', 'redirects in a circle'],
  ],
  ['the same at a token realm', ['a token realm at an address of ours']],
  ['the same at an upload location', ['an upload `Location` at an address of ours']],
  ['credentials stay with one trust: at redirects', ['credentials after a redirect']],
  ['... at realms', ['credentials to a token realm of others', 'the same, in the broker']],
  ['... at upload locations', ['an upload `Location` of others']],
  ['... between tenants of one suffix', ['tenants of one public suffix']],
  ['few headers of a request go on', ['headers meant for somebody behind us']],
  ['one framing, one length', ['two Content-Lengths', 'Content-Length and Transfer-Encoding']],
  ['no absolute-form target', ['an absolute-form target']],
  ['no line ends of another kind', ['a line that ends otherwise than by CR LF']],
  ['nothing but GET and HEAD', ['methods that write', 'CONNECT, Upgrade']],
  ['no cookies and hop-by-hop headers of an answer', ['Set-Cookie, CORS, HSTS of a registry']],
  ['no coding that changes the bytes', ['Content-Encoding nobody asked for']],
  ['what is kept is kept by host', ["one host's content under another's name"]],
  ['... and a tag by the type that was agreed on', ['one tag, another manifest for each `Accept`']],
  ['bytes are hashed before they are committed', ['wrong bytes in a copy']],
  ['a client notices wrong bytes', ['wrong bytes']],
  ['a manifest is what was asked for and announced', ['an announced digest that is not that of the bytes']],
  ['a manifest has a largest size', ['a manifest without end']],
  ['a manifest has one meaning', ['a manifest that is an index and an image at once']],
  ['a digest is no capability', ['a digest as a capability']],
  ['a mount wants the right to read its source', ["a mount of what the source's repository does not have"]],
  ['a grant is signed, by a key of ours, and ends', ['a forged or expired grant']],
  ['no secret in the arguments of a process', ['secrets in the arguments of a process']],
  ['... in the log', ['secrets in the log']],
  ['... in jobs', ['secrets in jobs']],
  ['... in errors', ['secrets in errors']],
  ['secrets are compared in constant time', { notDone: 'in constant time' }],
];

describe('docs/hardening.md', () => {
  it('has its checklist', () => expect(lines.length).toBeGreaterThan(30));

  it.each(CHECKLIST)('answers: %s', (_what, answers) => {
    if ('notDone' in answers) expect(document.split('## Not done')[1]).toContain(answers.notDone);
    else expect(lines.map(([threat]) => threat)).toEqual(expect.arrayContaining([...answers]));
  });

  it.each(lines)('%s: has its test', (_threat, _answer, file, name) => {
    const source = path.join(CHECKOUT, file.replaceAll('`', ''));
    expect(existsSync(source)).toBe(true);
    expect(source).toMatch(/\.test\.ts$/);
    expect(readFileSync(source, 'utf8')).toContain(name.replace(/^`|`$/g, ''));
  });
});
