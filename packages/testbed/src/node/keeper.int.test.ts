import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SERVICE_SUBNET } from '../control-plane/apiserver-flags.ts';
import { until } from '../process/until.ts';
import { nodeGroups } from './cgroups.ts';
import { mountsBelow, nodeProcesses } from './machine.ts';
import { KERNEL_SETTINGS, NODE_ADDRESS, nodeFolder } from './traces.ts';
import { whyNoNode } from './why-no-node.ts';

// Only Linux's root can have a node, and what it is made of is built with the stories.
const onNode = (await whyNoNode()).length === 0 ? describe : describe.skip;

let folder: string;
let cleanUp: (() => unknown)[];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'keeper-'));
  cleanUp = [];
});
afterEach(() => {
  for (const clean of cleanUp) clean();
  rmSync(folder, { recursive: true, force: true });
});

/** A process that has the machine's node, with one container running in it; its pid, and the container's. */
const OWNER = `
import { writeFileSync } from 'node:fs';
import { Keeper } from '${import.meta.dirname}/keeper.ts';
import { ContainerImages, SANDBOX_IMAGE } from '${import.meta.dirname}/container-images.ts';
import { NodeFiles } from '${import.meta.dirname}/node-files.ts';
import { startContainerd } from '${import.meta.dirname}/start-containerd.ts';
import { requirePart } from '${import.meta.dirname}/../parts/find.ts';
await Keeper.take({ waitMs: 60_000 });
const files = new NodeFiles({});
const images = new ContainerImages(await requirePart('ctr'), files.socket);
await startContainerd(files, images);
await images.ctr('run', '--detach', '--cgroup', '/kuik-node/one', SANDBOX_IMAGE, 'one');
writeFileSync('/proc/sys/net/ipv4/ip_forward', process.argv[2]);
console.log(/^one +([0-9]+)/m.exec(await images.ctr('tasks', 'list'))[1]);
setInterval(() => {}, 1000);
`;

/** Those of Services, as the kernel names a network. */
const SERVICES = SERVICE_SUBNET.split('/')[0]!;

function kernelSettings(): string[] {
  return KERNEL_SETTINGS.map((name) => readFileSync(`/proc/sys/${name}`, 'utf8'));
}

function addresses(): string {
  return readFileSync('/proc/net/fib_trie', 'utf8');
}

onNode('the node’s keeper', () => {
  it('removes containers, mounts, cgroups, address and settings of a process that was killed', async () => {
    const before = kernelSettings();
    const script = path.join(folder, 'owner.ts');
    writeFileSync(script, OWNER);
    const other = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').startsWith('0') ? '1' : '0';
    const owner = spawn(process.execPath, [script, other], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, KUIK_RUN_FOLDER: folder },
    });
    cleanUp.push(() => owner.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string];
    expect(nodeProcesses()).toContain(Number(line));
    expect(nodeProcesses().length).toBeGreaterThan(2);
    expect(mountsBelow(nodeFolder()).length).toBeGreaterThan(0);
    expect(nodeGroups().every((group) => existsSync(group))).toBe(true);
    for (const address of [NODE_ADDRESS, SERVICES]) expect(addresses()).toContain(address);
    expect(kernelSettings()).not.toEqual(before);

    owner.kill('SIGKILL');
    await until(() => nodeGroups().every((group) => !existsSync(group)), { what: 'its cgroups to be gone' });
    await until(() => !existsSync(nodeFolder()), { what: 'its folder to be gone' });
    await until(() => kernelSettings().join() === before.join(), { what: 'kernel settings to be what they were' });
    expect(nodeProcesses()).toEqual([]);
    expect(mountsBelow(nodeFolder())).toEqual([]);
    for (const address of [NODE_ADDRESS, SERVICES]) expect(addresses()).not.toContain(address);
  });
});
