import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { randomBytes } from 'node:crypto';
import { RegistryError } from './errors.ts';
import { openBlobOver } from './open-blob.ts';
import type { ByteSink } from './port.ts';
import { openResuming, resuming, type BlobSource, type Opened, type ResumeOptions } from './resume.ts';

const body = randomBytes(1_000_000);
const digest = digestOf(body);

interface Script {
  /** Byte of the blob at which each successive opening breaks; undefined delivers to the end. */
  breaksAt?: (number | undefined)[];
  /** What it breaks with; default truncated. */
  breaksWith?: RegistryError;
  /** What successive openings throw. */
  opens?: (RegistryError | undefined)[];
  bytes?: Buffer;
}

function source(name: string, script: Script = {}) {
  const opened: { offset: number; end?: number }[] = [];
  const bytes = script.bytes ?? body;
  const made: BlobSource = {
    name,
    open({ offset, end }) {
      const at = opened.length;
      opened.push({ offset, ...(end === undefined ? {} : { end }) });
      const refusal = script.opens?.[at];
      if (refusal !== undefined) return Promise.reject(refusal);
      const stop = (end ?? bytes.length - 1) + 1;
      const cut = script.breaksAt?.[at];
      return Promise.resolve(
        openBlobOver({
          totalSize: bytes.length,
          offset,
          length: stop - offset,
          contentType: 'application/octet-stream',
          cancel: () => undefined,
          async pump(sink) {
            for (let from = offset; from < stop; from += 10_000) {
              if (cut !== undefined && from >= cut)
                throw script.breaksWith ?? new RegistryError('truncated', 'cut', { bytesDelivered: from - offset });
              await sink(bytes.subarray(from, Math.min(stop, from + 10_000)));
            }
          },
        }),
      );
    },
  };
  return { made, opened };
}

async function deliverResuming(
  options: ResumeOptions,
  sink: ByteSink,
  opened?: Opened,
): Promise<{ bytes: number; source: string }> {
  let source = (opened?.source ?? options.sources[0]!).name;
  const onSwitch: ResumeOptions['onSwitch'] = (info) => {
    source = info.next.name;
    options.onSwitch?.(info);
  };
  const all = { ...options, onSwitch };
  const blob = opened === undefined ? await openResuming(all) : resuming(all, opened);
  await blob.deliver(sink, options.signal);
  return { bytes: blob.length, source };
}

async function read(sources: BlobSource[], options: { offset?: number; end?: number; verify?: boolean } = {}) {
  const parts: Buffer[] = [];
  const switches: string[] = [];
  const outcome = await deliverResuming(
    {
      sources,
      digest,
      ...options,
      onSwitch: ({ from, next, atByte }) => void switches.push(`${from.name}>${next.name}@${atByte}`),
    },
    (chunk) => void parts.push(Buffer.from(chunk)),
  ).catch((error: unknown) => error as RegistryError);
  return { bytes: Buffer.concat(parts), switches, outcome };
}

const gone = new RegistryError('not-found', 'gone', { status: 404 });
const refused = new RegistryError('refused', 'refused');

describe('openResuming', () => {
  it('reads from the first source that has it', async () => {
    const upstream = source('upstream');
    const { bytes, switches, outcome } = await read([source('cache', { opens: [gone] }).made, upstream.made]);
    expect(bytes.equals(body)).toBe(true);
    expect(switches).toEqual(['cache>upstream@0']);
    expect(outcome).toEqual({ bytes: body.length, source: 'upstream' });
  });

  it('continues at the byte reached, from the same source if it is still there', async () => {
    const cache = source('cache', { breaksAt: [300_000] });
    const { bytes, switches } = await read([cache.made, source('upstream').made]);
    expect(bytes.equals(body)).toBe(true);
    expect(cache.opened).toEqual([{ offset: 0 }, { offset: 300_000 }]);
    expect(switches).toEqual(['cache>cache@300000']);
  });

  it('continues from the next source when the first one died', async () => {
    const cache = source('cache', { breaksAt: [300_000], opens: [undefined, refused] });
    const upstream = source('upstream');
    const { bytes, outcome } = await read([cache.made, upstream.made]);
    expect(bytes.equals(body)).toBe(true);
    expect(upstream.opened).toEqual([{ offset: 300_000 }]);
    expect(outcome).toEqual({ bytes: body.length, source: 'upstream' });
  });

  it('leaves a source that fell silent for the next one at once', async () => {
    const cache = source('cache', { breaksAt: [500_000], breaksWith: new RegistryError('timeout', 'silent') });
    const { bytes, switches } = await read([cache.made, source('upstream').made]);
    expect(bytes.equals(body)).toBe(true);
    expect(switches).toEqual(['cache>upstream@500000']);
  });

  it('tells a source that broke while it was read from one that did not open', async () => {
    const cache = source('cache', { breaksAt: [500_000], opens: [undefined, refused] });
    const told: [string, boolean, string][] = [];
    await deliverResuming(
      {
        sources: [cache.made, source('upstream').made],
        digest,
        onSwitch: ({ from, inBody, error }) => void told.push([from.name, inBody, error.code]),
      },
      () => undefined,
    );
    expect(told).toEqual([
      ['cache', true, 'truncated'],
      ['cache', false, 'refused'],
    ]);
  });

  it('begins with a source that is open already, whichever that is', async () => {
    const [cache, upstream] = [source('cache', { opens: [gone] }), source('upstream', { breaksAt: [300_000] })];
    const blob = await upstream.made.open({ offset: 0 });
    const parts: Buffer[] = [];
    const { source: last } = await deliverResuming(
      { sources: [cache.made, upstream.made], digest },
      (chunk) => void parts.push(Buffer.from(chunk)),
      { source: upstream.made, blob },
    );
    expect(Buffer.concat(parts).equals(body)).toBe(true);
    expect([last, cache.opened, upstream.opened]).toEqual(['upstream', [], [{ offset: 0 }, { offset: 300_000 }]]);
  });

  it('delivers a range, resumed within it', async () => {
    const cache = source('cache', { breaksAt: [300_000] });
    const { bytes } = await read([cache.made], { offset: 200_000, end: 499_999 });
    expect(bytes.equals(body.subarray(200_000, 500_000))).toBe(true);
    expect(cache.opened).toEqual([
      { offset: 200_000, end: 499_999 },
      { offset: 300_000, end: 499_999 },
    ]);
  });

  it('gives up after some rounds without progress, with the bytes delivered so far left as they are', async () => {
    const dead = source('upstream', {
      breaksAt: [300_000],
      opens: [undefined, ...Array<RegistryError>(20).fill(refused)],
    });
    const { bytes, outcome } = await read([dead.made]);
    expect(bytes).toHaveLength(300_000);
    expect(outcome).toBe(refused);
    expect(dead.opened.length).toBeLessThan(6);
  });

  it('gives up on a peer that cuts after every few bytes', async () => {
    const breaksAt = Array.from({ length: 200 }, (_, at) => (at + 1) * 10_000);
    const stingy = source('upstream', { breaksAt });
    const { outcome } = await read([stingy.made]);
    expect(outcome).toMatchObject({ code: 'truncated' });
    expect(stingy.opened.length).toBeLessThan(10);
  });

  it("tells the last source's own answer when none opens, at once", async () => {
    const sources = [source('cache', { opens: [refused] }), source('upstream', { opens: [gone] })];
    const { outcome } = await read(sources.map(({ made }) => made));
    expect(outcome).toBe(gone);
    expect(sources.map(({ opened }) => opened.length)).toEqual([1, 1]);
  });

  it('never lets the end of wrong bytes through', async () => {
    const wrong = Buffer.from(body);
    wrong[500_000]! ^= 1;
    const { bytes, outcome } = await read([source('cache', { bytes: wrong }).made]);
    expect(outcome).toMatchObject({ code: 'digest-mismatch', bytesDelivered: 990_000 });
    expect(bytes).toHaveLength(990_000);
  });

  it('hashes over all sources of one body', async () => {
    const wrong = Buffer.from(body);
    wrong[999_999]! ^= 1;
    const sources = [
      source('cache', { breaksAt: [300_000], opens: [undefined, refused] }),
      source('upstream', { bytes: wrong }),
    ];
    const { outcome } = await read(sources.map(({ made }) => made));
    expect(outcome).toMatchObject({ code: 'digest-mismatch' });
  });

  it('leaves ranges and unwanted verification alone', async () => {
    const wrong = source('cache', { bytes: Buffer.alloc(body.length) }).made;
    expect((await read([wrong], { offset: 1 })).bytes).toHaveLength(body.length - 1);
    expect((await read([wrong], { verify: false })).bytes).toHaveLength(body.length);
  });

  it('takes a small wrong blob for a missing one while nothing was delivered', async () => {
    const small = Buffer.from('small');
    const sources = [source('cache', { bytes: Buffer.from('smaLL') }), source('upstream', { bytes: small })];
    const parts: Buffer[] = [];
    await deliverResuming(
      { sources: sources.map(({ made }) => made), digest: digestOf(small) },
      (chunk) => void parts.push(Buffer.from(chunk)),
    );
    expect(Buffer.concat(parts).toString()).toBe('small');
  });

  it('tells of wrong bytes when no other source has any', async () => {
    const small = Buffer.from('small and wrong');
    const cache = source('cache', { opens: Array.from({ length: 9 }, () => gone) });
    const upstream = source('upstream', { bytes: small });
    const { bytes, outcome } = await read([cache.made, upstream.made]);
    expect(bytes.length).toBe(0);
    expect(outcome).toMatchObject({ code: 'digest-mismatch' });
  });

  it('does not mix blobs of two sizes', async () => {
    const cache = source('cache', { breaksAt: [300_000], opens: [undefined, refused] });
    const other = source('upstream', { bytes: Buffer.concat([body, body]) });
    const { outcome, bytes } = await read([cache.made, other.made]);
    expect(outcome).toEqual({ bytes: body.length, source: 'cache' });
    expect(bytes.equals(body)).toBe(true);
    expect(other.opened).toHaveLength(1);
  });

  it("throws the sink's own error and reads nothing more", async () => {
    const cache = source('cache');
    const broken = new RegistryError('refused', 'the client left');
    const failing = deliverResuming({ sources: [cache.made], digest }, () => Promise.reject(broken));
    await expect(failing).rejects.toBe(broken);
    expect(cache.opened).toHaveLength(1);
  });

  it('knows the size before the first byte', async () => {
    const blob = await openResuming({
      sources: [source('cache', { opens: [gone] }).made, source('upstream').made],
      digest,
      offset: 10,
    });
    expect([blob.totalSize, blob.offset, blob.length]).toEqual([body.length, 10, body.length - 10]);
    blob.cancel();
    await expect(blob.deliver(() => undefined)).rejects.toMatchObject({ code: 'aborted' });
  });

  it('stops waiting when the caller gives up', async () => {
    const dead = source('upstream', {
      breaksAt: [300_000],
      opens: [undefined, ...Array<RegistryError>(20).fill(refused)],
    });
    const giveUp = new AbortController();
    const failing = deliverResuming(
      { sources: [dead.made], digest, signal: giveUp.signal, rounds: 100, onSwitch: () => giveUp.abort() },
      () => undefined,
    );
    await expect(failing).rejects.toMatchObject({ code: 'aborted' });
  });
});
