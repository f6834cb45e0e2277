import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ControlPlane, KubeObject } from '../port.ts';
import { LeaseBroker } from './broker.ts';
import { LEASE_SOCKET, leaseFrom } from './lease-control-plane.ts';

let folder: string;
let broker: LeaseBroker;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'lease-'));
  broker = new LeaseBroker(1);
  await broker.listen(path.join(folder, 'socket'));
});
afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

const lease = (): Promise<ControlPlane> => leaseFrom(path.join(folder, 'socket'));
const namespaces = async (plane: ControlPlane): Promise<string[]> =>
  (await plane.api.list<KubeObject>('/api/v1/namespaces')).map((object) => object.metadata.name);

describe('a leased control plane', () => {
  it('belongs to one holder at a time and reaches the next one empty', async () => {
    const first = await lease();
    await first.namespace('mine');
    let turn = false;
    const waiting = lease().then((plane) => {
      turn = true;
      return plane;
    });
    // The holder's own wipe goes through the broker too, and does not end the lease.
    await first.wipe();
    await first.namespace('mine-again');
    expect(turn).toBe(false);
    await first.stop();
    const second = await waiting;
    expect(second.url).toBe(first.url);
    expect(await namespaces(second)).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system']);
    await second.stop();
  });

  it('is taken back from a test file that forgot it when its worker runs the next one', async () => {
    const forgotten = await leaseFrom(path.join(folder, 'socket'), 'first.int.test.ts');
    const next = await leaseFrom(path.join(folder, 'socket'), 'second.int.test.ts');
    expect(next.url).toBe(forgotten.url);
    await expect(forgotten.wipe()).rejects.toThrow('the lease broker is gone');
    await Promise.all([forgotten.stop(), next.stop()]);
  });

  it('fails clearly when the broker is gone', async () => {
    const plane = await lease();
    await broker.close();
    await expect(plane.wipe()).rejects.toThrow('the lease broker is gone');
  });

  it('is what tests of the suite get', () => {
    expect(process.env[LEASE_SOCKET]).toBeTruthy();
  });
});
