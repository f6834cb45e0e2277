import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { SpoolRoom } from './spool-room.ts';

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** Room for 200 bytes, and two files of 100 in it that nobody reads: nothing can remove the first one. */
function world() {
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-room-'));
  folders.push(folder);
  for (const name of ['stuck', 'idle']) writeFileSync(path.join(folder, name), Buffer.alloc(100));
  const obstacle = path.join(folder, 'stuck.json');
  mkdirSync(obstacle);
  const room = new SpoolRoom({ folder, totalBytes: 200, keepMs: 60_000 });
  return {
    room,
    freed: () => rmSync(obstacle, { recursive: true }),
    left: () => readdirSync(folder).filter((name) => ['stuck', 'idle'].includes(name)),
  };
}

describe('a file that cannot be removed', () => {
  it('keeps its room, and is tried again by the next sweep', () => {
    const { room, freed, left } = world();
    room.sweep(Date.now() + 120_000);
    expect([left(), room.usedBytes]).toEqual([['stuck'], 100]);
    freed();
    room.sweep(Date.now() + 120_000);
    expect([left(), room.usedBytes]).toEqual([[], 0]);
  });

  it('gives its room to nobody', () => {
    const { room } = world();
    expect(room.take('new', 200, Date.now())).toBe(false);
    expect(room.take('new', 100, Date.now())).toBe(true);
    expect(room.usedBytes).toBe(200);
  });
});
