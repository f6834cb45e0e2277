import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { makeGroups, nodeGroups } from './cgroups.ts';
import { containerdConfig } from './containerd.ts';
import { kubeletConfig } from './kubelet.ts';
import { podNetwork } from './pod-network.ts';
import { nodeFolder } from './traces.ts';
import { whyMachineCannot, type Machine } from './why-no-node.ts';

describe('whyMachineCannot', () => {
  const able: Machine = { platform: 'linux', root: true, cgroups: true, lacking: [] };

  it.each<[string, Partial<Machine>, RegExp[]]>([
    ['can', {}, []],
    ['is a Mac', { platform: 'darwin', root: false, lacking: ['ip'] }, [/needs Linux.*darwin/]],
    ['is not run by root', { root: false }, [/root.*sudo/]],
    ['has no cgroups', { cgroups: false }, [/cgroups/]],
    ['lacks programs', { lacking: ['ip', 'umount'] }, [/ip: install iproute2/, /umount: install mount/]],
    ['lacks several things', { root: false, lacking: ['ip'] }, [/root/, /iproute2/]],
  ])('says every reason of a machine that %s', (_, change, reasons) => {
    const told = whyMachineCannot({ ...able, ...change });
    expect(told).toHaveLength(reasons.length);
    for (const [at, reason] of reasons.entries()) expect(told[at]).toMatch(reason);
  });
});

describe('everything of the node', () => {
  const folder = '/checkout/.kuik/node';
  const socket = `${folder}/containerd.sock`;

  it('is below its folder: what containerd keeps', () => {
    const config = containerdConfig({
      folder,
      socket,
      runc: '/usr/sbin/runc',
      cniPlugins: '/usr/lib/cni',
      sandboxImage: 'testbed.invalid/sandbox:1',
    });
    const paths = [...config.matchAll(/"(\/[^"]*)"/g)].map(([, found]) => found!);
    expect(paths.filter((found) => !found.startsWith(folder)).sort()).toEqual(['/usr/lib/cni', '/usr/sbin/runc']);
    expect(JSON.stringify(podNetwork(folder)).match(/"\/[^"]*"/g)).toEqual([`"${folder}/ipam"`]);
  });

  it('is below its folder and its cgroup: what kubelet keeps', () => {
    const files = { caFile: `${folder}/ca`, certificateFile: `${folder}/c`, keyFile: `${folder}/k` };
    const config = kubeletConfig({ folder, socket, port: 1, healthPort: 2, ...files });
    expect(config).toMatchObject({ cgroupRoot: '/kuik-node', containerRuntimeEndpoint: `unix://${socket}` });
    const paths = JSON.stringify(config).match(/"\/[^"]*"/g) ?? [];
    expect(paths.filter((found) => !found.startsWith(`"${folder}/`))).toEqual(['"/kuik-node"']);
  });

  it('has a folder whose sockets the kernel takes, however deep the checkout is', () => {
    expect(nodeFolder('/home/me/kuik')).toBe('/home/me/kuik/.kuik/node');
    expect(nodeFolder(`/home/${'x'.repeat(80)}`)).toBe(path.join(tmpdir(), 'kuik-node'));
  });
});

describe('the cgroup of the node', () => {
  const withRoot = (files: Record<string, string>, check: (root: string) => void): void => {
    const root = mkdtempSync(path.join(tmpdir(), 'cgroup-'));
    try {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
        writeFileSync(path.join(root, name), text);
      }
      check(root);
    } finally {
      rmSync(root, { recursive: true });
    }
  };

  it('is in each hierarchy of cgroup v1', () => {
    withRoot({ 'cpu/cgroup.procs': '', 'memory/cgroup.procs': '', 'nothing/else': '' }, (root) => {
      makeGroups(root);
      expect(nodeGroups(root)).toEqual([`${root}/cpu/kuik-node`, `${root}/memory/kuik-node`]);
    });
  });

  it('is one with cgroup v2, with the controllers that kubelet wants', () => {
    const files = {
      'cgroup.controllers': 'cpuset cpu io memory pids misc\n',
      'cgroup.procs': '',
      'system.slice/cgroup.procs': '',
    };
    withRoot(files, (root) => {
      makeGroups(root);
      expect(nodeGroups(root)).toEqual([`${root}/kuik-node`]);
    });
  });
});
