import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { DigestGate, gated } from './verify.ts';

const body = Buffer.from('the whole body of a blob');

describe('DigestGate', () => {
  it.each(['sha256', 'sha512'] as const)('passes the right bytes by %s', (algorithm) => {
    const gate = new DigestGate(digestOf(body, algorithm), body.length);
    for (let at = 0; at < body.length; at += 5) gate.pass(body.subarray(at, at + 5), at);
  });

  it('holds the last chunk back when the digest is another', () => {
    const got: string[] = [];
    const gate = new DigestGate(digestOf('something else'), body.length);
    const sink = gated(gate, (chunk) => void got.push(chunk.toString()));
    void sink(body.subarray(0, 10));
    expect(() => sink(body.subarray(10))).toThrow(expect.objectContaining({ code: 'digest-mismatch', retry: true }));
    expect(got).toEqual([body.subarray(0, 10).toString()]);
  });

  it('gives every chunk but the last away before it hashes it', () => {
    const events: string[] = [];
    const gate = new DigestGate(digestOf(body), body.length);
    const pass = gate.pass.bind(gate);
    gate.pass = (chunk, offset) => {
      events.push(`hashed ${offset}`);
      pass(chunk, offset);
    };
    const sink = gated(gate, (chunk) => void events.push(`given ${chunk.length}`));
    void sink(body.subarray(0, 10));
    void sink(body.subarray(10));
    expect(events).toEqual(['given 10', 'hashed 0', 'hashed 10', `given ${body.length - 10}`]);
  });

  it('does not hash again what it has seen, wherever a resumed reader begins', () => {
    const gate = new DigestGate(digestOf(body), body.length);
    gate.pass(body.subarray(0, 12), 0);
    gate.pass(body.subarray(0, 5), 0);
    gate.pass(body.subarray(8, 20), 8);
    gate.pass(body.subarray(8), 8);
    gate.pass(body.subarray(20), 20);
  });

  it('leaves to others what they vouch for, and judges nothing behind it', () => {
    const gate = new DigestGate(digestOf('something else'), body.length);
    expect(gate.trusted).toBe(false);
    gate.pass(body.subarray(0, 4), 0);
    gate.trust();
    gate.pass(body.subarray(12), 12);
    expect(gate.trusted).toBe(true);
    gate.pass(body.subarray(4, 12), 4);
    expect(() => gate.pass(body.subarray(12), 12)).toThrow('refused');
  });

  it('checks an empty body at once', () => {
    expect(() => new DigestGate(digestOf(''), 0)).not.toThrow();
    expect(() => new DigestGate(digestOf('x'), 0)).toThrow('refused');
  });

  it('wants a digest', () => {
    expect(() => new DigestGate('md5:abc', 1)).toThrow('is not a digest');
  });
});
