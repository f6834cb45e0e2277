import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createKubeClient, type KubeClient } from '@kuik/kube';
import {
  freePort,
  imageOfPrograms,
  makeIndex,
  openRelay,
  requirePart,
  startControlPlane,
  startFaultProxy,
  startNode,
  startServiceNetwork,
  startTestbed,
  type FaultProxy,
  type OwnControlPlane,
  type PushedImage,
  type RealNode,
} from '@kuik/testbed';
import { stringify } from 'yaml';
import { CHART } from '../stack/chart-objects.ts';
import { HOST } from '../story/world.ts';

const run = promisify(execFile);
const CHECKOUT = path.join(import.meta.dirname, '../../..');
const IMAGE = 'installed';
/** Of this machine's programs, in place of those that the chart names: no registry of images can be reached. */
const IMAGES = {
  kuik: 'testbed.invalid/kuik',
  nats: 'testbed.invalid/nats',
  redis: 'testbed.invalid/redis',
  registry: 'testbed.invalid/registry',
};

/** A cluster of one real node, with an upstream registry beside it, on which the chart is installed by helm with its own defaults. */
export interface InstalledChart {
  readonly controlPlane: OwnControlPlane;
  readonly node: RealNode;
  readonly faults: FaultProxy;
  readonly kube: KubeClient;
  /** How images name the proxy. */
  readonly proxyPrefix: string;
  /** What is upstream as `<HOST>/installed:1`: runs as long as it is let, ends at once with an argument. */
  readonly image: { readonly reference: string; readonly pushed: PushedImage };
  helm(...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts the cluster, puts the images of every part onto its node, and installs; the release is not waited for. */
export async function installChart(): Promise<InstalledChart> {
  const started: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of started.splice(0).reverse()) await end();
  };
  try {
    const [controlPlane, upstream, images] = await Promise.all([
      startControlPlane(),
      startTestbed({ parts: ['upstream'] }),
      imagesOfParts(),
    ]);
    started.push(
      () => controlPlane.stop(),
      () => upstream.stop(),
    );
    const node = await startNode(controlPlane);
    started.push(() => node.stop());
    const services = await startServiceNetwork(controlPlane);
    started.push(() => services.stop());
    const faults = await startFaultProxy({ backingUrl: upstream.upstream.url, hosts: [HOST], tls: true });
    started.push(() => faults.close());
    // Pods have a loopback of their own.
    const { address, ...registry } = faults.registries()[HOST]!;
    const relay = await openRelay({ host: node.address, port: 0 }, () => address);
    started.push(() => relay.close());
    const made = await makeIndex({ seed: IMAGE, runnable: true, layers: [1_000_000, 4_096] });
    const pushed = await faults.push(HOST, IMAGE, ['1'], made);
    for (const [name, image] of Object.entries(images))
      await node.importImage(image, `${IMAGES[name as keyof typeof IMAGES]}:1`);

    const folder = mkdtempSync(path.join(tmpdir(), 'kuik-installed-'));
    started.push(() => rmSync(folder, { recursive: true }));
    const [port, httpPort] = [await freePort(), await freePort()];
    const part = (name: keyof typeof IMAGES): object => ({
      image: { repository: IMAGES[name], tag: '1' },
      ...(name === 'registry' ? {} : { storage: { size: '' } }),
    });
    const values = {
      global: { image: { repository: IMAGES.kuik, tag: '1' } },
      // There is nobody who makes volumes.
      cache: { storage: { size: '' } },
      nats: part('nats'),
      redis: part('redis'),
      registry: part('registry'),
      'node-proxy': { port, httpPort },
      registries: { [HOST]: { ...registry, address: relay.address } },
    };
    const file = path.join(folder, 'values.yaml');
    writeFileSync(file, stringify(values));
    const command = await requirePart('helm');
    const helm = async (...args: readonly string[]): Promise<string> => {
      const flags = ['--kubeconfig', controlPlane.kubeconfig, '--namespace', 'kuik-system'];
      return (await run(command, [...args, ...flags], { timeout: 180_000 })).stdout;
    };
    const kube = createKubeClient({ kubeconfig: controlPlane.kubeconfig, userAgent: 'kuik-installed' });
    started.push(() => kube.close());
    await helm('install', 'kuik', CHART, '--create-namespace', '--values', file);
    return {
      controlPlane,
      node,
      faults,
      kube,
      proxyPrefix: `localhost:${port}`,
      image: { reference: `${HOST}/${IMAGE}:1`, pushed },
      helm,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Each as its own image has it: the program that the chart's arguments are for is the entrypoint. */
async function imagesOfParts(): Promise<Record<keyof typeof IMAGES, Awaited<ReturnType<typeof imageOfPrograms>>>> {
  const bundles = mkdtempSync(path.join(tmpdir(), 'kuik-bundles-'));
  try {
    await run(process.execPath, ['packages/tooling/collect-bundles.mjs', bundles], { cwd: CHECKOUT });
    const only = async (name: 'nats-server' | 'redis-server' | 'registry') =>
      imageOfPrograms({ programs: { [`/${name}`]: await requirePart(name) }, config: { Entrypoint: [`/${name}`] } });
    const [kuik, nats, redis, registry] = await Promise.all([
      imageOfPrograms({
        // As the Dockerfile has it; `sleep` is for what a container does before it is told to end.
        programs: { '/usr/local/bin/node': process.execPath, '/bin/sleep': '/bin/sleep' },
        folders: { '/app': bundles },
        config: {
          Env: ['PATH=/usr/local/bin:/bin', 'NODE_ENV=production'],
          WorkingDir: '/app',
          Entrypoint: ['node', '/app/run.mjs'],
        },
      }),
      only('nats-server'),
      only('redis-server'),
      only('registry'),
    ]);
    return { kuik, nats, redis, registry };
  } finally {
    rmSync(bundles, { recursive: true });
  }
}
