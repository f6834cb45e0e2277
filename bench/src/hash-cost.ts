import { createHash } from 'node:crypto';
import { median } from './bulk-case.ts';

const MiB = 1024 * 1024;
const ROUNDS = 5;
const ROUND_MIB = 256;

/** CPU seconds that sha256 alone costs per GB, as a miss hashes: node:crypto over buffers of 1 MiB, which take turns as a relay's do. */
export function hashCpuPerGb(): number {
  const buffers = [Buffer.alloc(MiB, 'a'), Buffer.alloc(MiB, 'b')];
  const costs = Array.from({ length: ROUNDS }, () => {
    const hash = createHash('sha256');
    const before = process.cpuUsage();
    for (let at = 0; at < ROUND_MIB; at += 1) hash.update(buffers[at % 2]!);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6 / ((ROUND_MIB * MiB) / 1e9);
  });
  return median(costs);
}
