import { describe, expect, it } from '@jest/globals';
import { IMAGE_USED } from '@kuik/contracts';
import { BusError } from './bus-error.ts';
import { decode, encode } from './codec.ts';

const { schema, maxBytes } = IMAGE_USED;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('codec', () => {
  const payload = { namespace: 'n', pullSecrets: [], images: ['i'], requestId: 'r' };

  it('is its own inverse, without fields that the schema does not know', () => {
    const bytes = encode('x', schema, { ...payload, extra: 1 } as typeof payload, maxBytes);
    expect(decode(schema, bytes, maxBytes)).toEqual({ ok: true, value: payload });
  });

  it('never repeats a value in its errors', () => {
    const run = (): unknown =>
      encode('x', schema, { ...payload, images: 'hunter2' } as unknown as typeof payload, maxBytes);
    expect(run).toThrow(BusError);
    expect(run).toThrow(/images: /);
    expect(run).not.toThrow(/hunter2/);
  });

  it.each([
    ['not JSON', text('{')],
    ['not JSON', new Uint8Array([0xff, 0xfe])],
    ['namespace: ', text('{}')],
    ['(whole): ', text('[]')],
    ['70000 bytes', new Uint8Array(70_000)],
  ])('refuses: %s', (reason, bytes) => {
    expect(decode(schema, bytes, maxBytes)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });
});
