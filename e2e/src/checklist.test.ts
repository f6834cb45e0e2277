import { describe, expect, it } from '@jest/globals';
import { bytes, Checklist, seconds, short } from './checklist.ts';

function screen(isTTY: boolean) {
  const written: string[] = [];
  return {
    screen: { isTTY, columns: 80, write: (text: string) => void written.push(text) },
    text: () => written.join(''),
  };
}

describe('Checklist', () => {
  it('writes plain lines where there is no terminal', async () => {
    const { screen: out, text } = screen(false);
    const list = new Checklist(out, () => 0);
    await list.section(
      'stack',
      async (waitingFor) => (waitingFor('nats'), 41203),
      (port) => `apiserver :${port}`,
    );
    const held = await list.step(1, async () => ({ problems: [], lines: ['detail'] }), 'pod created');
    expect(held).toBe(true);
    expect(text()).toBe('  stack      apiserver :41203\n   1 ok   pod created  (0.0 s)\n          detail\n');
  });

  it('shows what it waits for on a terminal', async () => {
    const { screen: out, text } = screen(true);
    const list = new Checklist(out, () => 0);
    await list.section(
      'stack',
      async () => 1,
      () => 'ready',
    );
    expect(text()).toContain('\r\x1b[2K  stack');
    expect(text().endsWith('  stack      ready\n')).toBe(true);
  });

  it('says what was expected and what was seen', async () => {
    const { screen: out, text } = screen(false);
    const list = new Checklist(out, () => 0);
    expect(
      await list.step(
        2,
        async () => ({ problems: [{ what: 'digest', expected: 'a', seen: 'b' }], lines: [] }),
        'cached',
      ),
    ).toBe(false);
    expect(await list.step(3, () => Promise.reject(new Error('boom')), 'pulled')).toBe(false);
    expect(text()).toContain('FAIL cached');
    expect(text()).toMatch(/digest\n +expected {2}a\n +seen {6}b\n/);
    expect(text()).toContain('boom');
  });

  it('calls no step a failure that was cut short', async () => {
    const { screen: out, text } = screen(false);
    const list = new Checklist(out, () => 0);
    const cut = (signal: AbortSignal) => list.step(1, () => Promise.reject(new Error('killed')), 'pulled', signal);
    expect(await cut(AbortSignal.abort())).toBe(false);
    expect(text()).toBe('   1 --   pulled  (interrupted after 0.0 s)\n');
    expect(await cut(new AbortController().signal)).toBe(false);
    expect(text()).toContain('FAIL pulled');
  });

  it('does not swallow a failed section', async () => {
    const { screen: out, text } = screen(false);
    await expect(
      new Checklist(out, () => 0).section(
        'parts',
        () => Promise.reject(new Error('no Go')),
        () => '',
      ),
    ).rejects.toThrow('no Go');
    expect(text()).toContain('parts      failed after');
  });
});

describe('words', () => {
  it.each([
    [40, '0.0 s'],
    [940, '0.9 s'],
    [41_000, '41 s'],
    [190_000, '3m10s'],
  ])('%i ms is %s', (ms, text) => expect(seconds(ms)).toBe(text));
  it.each([
    [12, '12 B'],
    [1024, '1.0 KiB'],
    [43_200_000, '41.2 MiB'],
  ])('%i bytes are %s', (count, text) => expect(bytes(count)).toBe(text));
  it('shortens digests', () =>
    expect([short('sha256:52ab0011223344'), short(undefined)]).toEqual(['sha256:52ab0011..', 'nothing']));
});
