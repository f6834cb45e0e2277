import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { BufferPool, openBlobOver, RegistryError, type BlobSource } from '@kuik/registry';
import { until } from '@kuik/testbed';
import fc from 'fast-check';
import { SpoolFile, type SpoolMemory } from './spool-file.ts';
import { Transfer } from './transfer.ts';

const KiB = 1024;
const folder = mkdtempSync(path.join(tmpdir(), 'kuik-transfer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const buffers = new BufferPool({ totalBytes: 4096 * KiB, maxBytes: 64 * KiB, minBytes: 16 * KiB });
let names = 0;

/** A source that counts what it gives, and breaks after so many bytes in each of its first reads. */
function source(bytes: Buffer, breaks: number[] = []) {
  const told = { given: 0, opened: 0, running: 0 };
  const open: BlobSource['open'] = ({ offset, end, signal }) => {
    told.opened += 1;
    const part = bytes.subarray(offset, (end ?? bytes.length - 1) + 1);
    const breakAfter = breaks.shift() ?? Infinity;
    return Promise.resolve(
      openBlobOver({
        totalSize: bytes.length,
        offset,
        length: part.length,
        contentType: '',
        async pump(sink) {
          told.running += 1;
          try {
            for (let at = 0; at < part.length; at += 16 * KiB) {
              await new Promise((resolve) => setImmediate(resolve));
              if (signal?.aborted === true) throw new RegistryError('aborted', 'left');
              if (at >= breakAfter) throw new RegistryError('rejected', 'broke');
              const chunk = part.subarray(at, at + 16 * KiB);
              told.given += chunk.length;
              await sink(Buffer.from(chunk));
            }
          } finally {
            told.running -= 1;
          }
        },
        cancel: () => undefined,
      }),
    );
  };
  return { told, source: { name: 'upstream', open } };
}

async function transfer(
  bytes: Buffer,
  from: BlobSource,
  digest = digestOf(bytes),
  name = `spool-${(names += 1)}`,
  memory?: SpoolMemory,
  pool = buffers,
  unkept: unknown[] = [],
) {
  const spool = await SpoolFile.open(folder, digest, name, bytes.length, memory);
  const nothing = (): void => undefined;
  const made = new Transfer({
    digest,
    spool,
    buffers: pool,
    onBytes: nothing,
    onReached: nothing,
    onUnkept: (error) => void unkept.push(error),
    onIdle: nothing,
  });
  made.addSource(from);
  return { made, name };
}

async function take(of: Transfer, span: { offset?: number; end?: number } = {}, slow = false): Promise<Buffer> {
  const parts: Buffer[] = [];
  await of.read(span).deliver(async (chunk) => {
    parts.push(Buffer.from(chunk));
    if (slow) await new Promise((resolve) => setImmediate(resolve));
  });
  return Buffer.concat(parts);
}

describe('a transfer', () => {
  it('gives every reader its bytes and reads none twice, whatever they want and in whatever order', async () => {
    const bytes = randomBytes(400 * KiB);
    const spans = fc.array(fc.tuple(fc.nat(399), fc.nat(399), fc.boolean()), { minLength: 1, maxLength: 6 });
    const blockBytes = 8 * KiB;
    const pool = new BufferPool({ totalBytes: 32 * KiB, maxBytes: blockBytes, minBytes: blockBytes });
    await fc.assert(
      fc.asyncProperty(spans, fc.boolean(), async (wanted, inMemory) => {
        const { told, source: from } = source(bytes);
        const { made } = await transfer(bytes, from, undefined, undefined, inMemory ? { pool, blockBytes } : undefined);
        // Whoever asks for all keeps the reads going that others began.
        const all = take(made);
        const got = await Promise.all(
          wanted.map(async ([from, length, slow]) => {
            const [offset, end] = [from * KiB, Math.min(bytes.length, (from + length + 1) * KiB) - 1];
            const part = await take(made, { offset, end }, slow);
            return part.equals(bytes.subarray(offset, end + 1));
          }),
        );
        expect((await all).equals(bytes)).toBe(true);
        expect(got).toEqual(wanted.map(() => true));
        // A read that is told to end earlier may have a chunk on the way.
        expect(told.given).toBeLessThanOrEqual(bytes.length + 16 * KiB * wanted.length);
        expect(made.verified).toBe(true);
        await made.close(false);
        expect([pool.usedBytes, buffers.usedBytes]).toEqual([0, 0]);
      }),
      { numRuns: 30 },
    );
  });

  it('lets nobody wait for readers that are slow, however many there are', async () => {
    const bytes = randomBytes(200 * KiB);
    const few = new BufferPool({ totalBytes: 64 * KiB, maxBytes: 32 * KiB, minBytes: 32 * KiB });
    const { made } = await transfer(bytes, source(bytes).source, undefined, undefined, undefined, few);
    await take(made);
    const held = Promise.withResolvers<void>();
    let reached = 0;
    const slow = Array.from({ length: 4 }, () =>
      made.read({}).deliver(() => {
        reached += 1;
        return held.promise;
      }),
    );
    await until(() => reached === slow.length, { what: 'every slow reader to have a chunk' });
    expect((await take(made)).equals(bytes)).toBe(true);
    held.resolve();
    await Promise.all(slow);
    await made.close(false);
    expect(few.usedBytes).toBe(0);
  });

  it('gives nobody the end of wrong bytes, and is over', async () => {
    const bytes = randomBytes(300 * KiB);
    const { source: from } = source(bytes);
    const { made } = await transfer(bytes, from, digestOf(Buffer.from('other')));
    const parts: number[] = [];
    const reading = made.read({}).deliver((chunk) => void parts.push(chunk.length));
    await expect(reading).rejects.toMatchObject({ code: 'digest-mismatch' });
    expect(parts.reduce((a, b) => a + b, 0)).toBe(236 * KiB);
    expect(made.ended?.code).toBe('digest-mismatch');
    await made.close(true);
  });

  it('vouches for what it gives from where all before it is there', async () => {
    const bytes = randomBytes(300 * KiB);
    const { made } = await transfer(bytes, source(bytes).source);
    const vouched = (offset: number) => {
      const blob = made.read({ offset });
      blob.cancel();
      return blob.vouched === true;
    };
    expect([vouched(0), vouched(200 * KiB)]).toEqual([true, false]);
    await take(made, { offset: 0, end: 200 * KiB - 1 });
    expect(vouched(200 * KiB)).toBe(true);
    await made.close(false);
  });

  it('goes on from what an earlier process left, and still checks the whole', async () => {
    const bytes = randomBytes(400 * KiB);
    const first = source(bytes, [200 * KiB, 0, 0, 0, 0]);
    const { made, name } = await transfer(bytes, first.source);
    await expect(take(made)).rejects.toMatchObject({ code: 'rejected' });
    await made.close(true);
    const second = source(bytes);
    const { made: next } = await transfer(bytes, second.source, digestOf(bytes), name);
    expect((await take(next)).equals(bytes)).toBe(true);
    expect([next.verified, first.told.given + second.told.given]).toEqual([true, bytes.length]);
    await next.close(false);
  });

  it('reads nothing on when everybody left', async () => {
    const bytes = randomBytes(4096 * KiB);
    const { told, source: from } = source(bytes);
    const { made } = await transfer(bytes, from);
    const stop = new AbortController();
    const reading = made.read({}).deliver((chunk) => {
      if (chunk.length > 0) stop.abort();
      return undefined;
    }, stop.signal);
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    expect(made.readers).toBe(0);
    await until(() => told.running === 0, { what: 'the read of upstream to end' });
    expect([told.opened, told.given < bytes.length]).toEqual([1, true]);
    await made.close(false);
  });

  it('does not blame the disk for what comes after its end', async () => {
    const bytes = randomBytes(200 * KiB);
    const ended = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const open: BlobSource['open'] = () =>
      Promise.resolve(
        openBlobOver({
          totalSize: bytes.length,
          offset: 0,
          length: bytes.length,
          contentType: '',
          async pump(sink) {
            await sink(bytes.subarray(0, KiB));
            await ended.promise;
            await Promise.resolve(sink(bytes.subarray(KiB))).then(late.resolve, late.resolve);
          },
          cancel: () => undefined,
        }),
      );
    const unkept: unknown[] = [];
    const name = 'ended';
    const { made } = await transfer(bytes, { name: 'upstream', open }, undefined, name, undefined, undefined, unkept);
    const reading = made.read({}).deliver(() => {
      made.end(new RegistryError('refused', 'over'));
    });
    await expect(reading).rejects.toThrow('over');
    await made.close(false);
    ended.resolve();
    expect(await late.promise).toBeInstanceOf(Error);
    expect(unkept).toEqual([]);
  });

  it('tells its readers when no source goes on', async () => {
    const bytes = randomBytes(200 * KiB);
    const { source: from } = source(bytes, [100 * KiB, 0, 0, 0, 0]);
    const { made } = await transfer(bytes, from);
    const outcomes = await Promise.allSettled([take(made), take(made, { offset: 10 })]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await made.close(false);
  });
});
