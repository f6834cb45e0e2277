import { makeImage, makeIndex } from '@kuik/testbed';
import { rulesOf } from './admission-log.ts';
import { imagesOf, pod, type Pod } from './pods.ts';
import { expectEqual, step } from './step.ts';
import { HOST, type World } from './world.ts';

const MiB = 1024 * 1024;

interface Row {
  name: string;
  /** The rule that the webhook says it applied. */
  rule: string | undefined;
  wrote: string;
  expected: string;
  got: string;
}

interface Outcome {
  ms: number;
  rows: Row[];
  original: Record<string, string>;
}

/** Puts the story's images upstream, creates the pod that uses them, and reads back what admission made of it. */
export const podAdmitted = step<World, Outcome>({
  id: 'admitted',
  title: 'pod default/shop created; its images go through the proxy',
  logs: ['webhook', 'kube-apiserver'],
  async act(world, progress) {
    progress('images to be pushed upstream');
    const log = await world.push(HOST, 'log', ['2.1'], await makeImage({ seed: 'log', layers: [3 * MiB, 64 * 1024] }));
    await world.push(
      HOST,
      'shop',
      ['1.0'],
      await makeIndex({ seed: 'shop', layers: [6 * MiB, 2 * MiB, 4096], sharedLayers: 1 }),
    );
    await world.push(HOST, 'migrate', ['7'], await makeImage({ seed: 'migrate', format: 'docker', layers: [2 * MiB] }));
    await world.push(
      'docker.io',
      'library/busybox',
      ['1.36'],
      await makeIndex({ seed: 'busybox', layers: [512 * 1024] }),
    );
    const asked = pod(
      'shop',
      [
        { name: 'app', image: `${HOST}/shop:1.0` },
        { name: 'sidecar', image: `${HOST}/log@${log.digest}` },
        { name: 'local', image: 'local.example.test:5000/x:1' },
      ],
      [{ name: 'migrate', image: `${HOST}/migrate:7` }],
    );
    progress('the API server to admit the pod');
    const since = performance.now();
    const admitted = await world.api.create<Pod>('/api/v1/namespaces/default/pods', asked);
    const ms = performance.now() - since;
    await world.controlPlane.bindPod('default', 'shop');
    const debug = { name: 'debug', image: 'busybox:1.36' };
    const current = await world.api.get<Pod>('/api/v1/namespaces/default/pods/shop');
    const debugged = await world.api.request<Pod>('PUT', '/api/v1/namespaces/default/pods/shop/ephemeralcontainers', {
      ...current,
      spec: { ...current.spec, ephemeralContainers: [{ ...debug, targetContainerName: 'app' }] },
    });
    const through = (text: string): string => `${world.proxyPrefix}/${text}`;
    const expected: Record<string, string> = {
      migrate: through(`${HOST}/migrate:7`),
      app: through(`${HOST}/shop:1.0`),
      sidecar: through(`${HOST}/log@${log.digest}`),
      local: 'local.example.test:5000/x:1',
      debug: through('docker.io/library/busybox:1.36'),
    };
    const wrote = new Map([...imagesOf(asked), debug].map(({ name, image }) => [name, image]));
    progress('the webhook to have told the rules that it applied');
    const told = await rulesOf(
      world.services.webhook[0]!.logFile,
      { namespace: 'default', pod: 'shop' },
      imagesOf(debugged).map(({ name }) => name),
    );
    const rows = imagesOf(debugged).map(({ name, image }) => ({
      name,
      rule: told.get(name),
      wrote: wrote.get(name)!,
      expected: expected[name]!,
      got: image,
    }));
    const annotation = admitted.metadata.annotations?.['kuik.enix.io/original-images'] ?? '{}';
    return { ms, rows, original: JSON.parse(annotation) as Record<string, string> };
  },
  check: ({ rows, original }) => [
    ...expectEqual('containers of the pod', 5, rows.length),
    ...rows.flatMap(({ name, expected, got }) => expectEqual(`image of container ${name}`, expected, got)),
    ...rows.flatMap(({ name, rule }) =>
      expectEqual(`rule for container ${name}`, name === 'local' ? 'ignoreImages[0]' : 'default', rule),
    ),
    ...expectEqual('original image kept of container app', `${HOST}/shop:1.0`, original['c:app']),
    ...expectEqual('original image kept of init container migrate', `${HOST}/migrate:7`, original['i:migrate']),
  ],
  tell: ({ ms, rows }) => [
    `admitted in ${Math.round(ms)} ms`,
    ...rows.map(
      ({ name, wrote, got, rule }) =>
        `${name.padEnd(8)} ${clip(wrote).padEnd(40)} ${(got === wrote ? 'unchanged' : `-> ${clip(got)}`).padEnd(58)} rule: ${rule ?? 'not told'}`,
    ),
  ],
  breakages: [
    {
      name: 'an image left unchanged',
      bend: (o) => ({ ...o, rows: o.rows.map((row, i) => (i === 1 ? { ...row, got: row.wrote } : row)) }),
    },
    {
      name: 'an ignored image rewritten',
      bend: (o) => ({
        ...o,
        rows: o.rows.map((row) => (row.name === 'local' ? { ...row, got: 'localhost:1/x' } : row)),
      }),
    },
    {
      name: 'the ephemeral container forgotten',
      bend: (o) => ({ ...o, rows: o.rows.filter((row) => row.name !== 'debug') }),
    },
    {
      name: 'a decision that no rule is named for',
      bend: (o) => ({ ...o, rows: o.rows.map((row) => ({ ...row, rule: undefined })) }),
    },
    { name: 'no annotation', bend: (o) => ({ ...o, original: {} }) },
  ],
});

function clip(image: string): string {
  return image.replace(/@sha256:([0-9a-f]{2})[0-9a-f]+/, '@sha256:$1..');
}
