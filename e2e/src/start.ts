import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { needs, SERVICES } from '@kuik/contracts';
import { removeData } from '@kuik/testbed';
import { claimFolder } from './claim-folder.ts';
import { seconds, type Checklist } from './checklist.ts';
import { readOwnRegistries, type OwnRegistries } from './own-registries.ts';
import { leadersOf } from './stack/leaders.ts';
import { startLocalParts } from './stack/local-parts.ts';
import { LocalStack } from './stack/local-stack.ts';
import { REPLICAS } from './stack/start-replicas.ts';
import { NODE_STORY } from './node/node-story.ts';
import { MAIN_JOB } from './story/main-job.ts';
import { tellStory, type TellOptions } from './story/tell-story.ts';
import { localEnvironment } from './stack/local-environment.ts';
import { tryIt } from './try-it.ts';

export interface StartRequest {
  /** End after the story. */
  readonly once: boolean;
  readonly upstream: 'builtin' | 'none';
  /** With a real node, and its story. */
  readonly node: boolean;
  /** `registries.<host>` of every service, from a YAML file: how a person's own registries are reached. */
  readonly registries: OwnRegistries | undefined;
  /** `<step>:<breakage>`: a step's outcome is bent before it is checked, to prove that a broken story is told as broken. */
  readonly broken: string | undefined;
}

const KNOWN = 'known are --once, --node, --upstream none, --registries FILE (README.md), after npm start --';

/** Reads the arguments of `npm start`. Throws Error with what is wrong. */
export function readRequest(args: readonly string[]): StartRequest {
  const values = parsed(args);
  if (values.upstream !== 'builtin' && values.upstream !== 'none')
    throw new Error(`--upstream ${values.upstream}: must be builtin or none`);
  if (values.registries !== undefined && values.upstream !== 'none') {
    throw new Error('--registries goes with --upstream none: the built-in upstream has its own');
  }
  return {
    once: values.once,
    upstream: values.upstream,
    node: values.node,
    registries: values.registries === undefined ? undefined : readOwnRegistries(values.registries),
    broken: values.break,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        upstream: { type: 'string', default: 'builtin' },
        node: { type: 'boolean', default: false },
        registries: { type: 'string' },
        break: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new Error(`${(error as Error).message.split('. ')[0]!}; ${KNOWN}`, { cause: error });
  }
}

/**
 * Brings the whole system up, tells the story, and keeps it up until `signal` aborts (unless `once`). Returns whether every step held.
 * `folder` gets `local.env` and `kubeconfig`; throws when another stack that is up has it.
 */
export async function runLocal(
  request: StartRequest,
  list: Checklist,
  folder: string,
  signal: AbortSignal,
): Promise<boolean> {
  const giveBack = claimFolder(folder);
  try {
    return await runIn(folder, request, list, signal);
  } finally {
    giveBack();
  }
}

async function runIn(folder: string, request: StartRequest, list: Checklist, signal: AbortSignal): Promise<boolean> {
  const parts = await list.section(
    'stack',
    (waitingFor) => (
      waitingFor(`API server, NATS, Redis, registries${request.node ? ', a node' : ''}`),
      startLocalParts({
        upstream: request.upstream,
        node: request.node && {},
        waitingFor,
        ...(request.registries && { registries: request.registries }),
      })
    ),
    ({ stack, controlPlane, node }, ms) =>
      `apiserver :${controlPlane.apiserver.port} · nats :${stack.nats.port} · redis :${stack.redis.port} · cache :${stack.cache.reader.port} · upstream :${stack.upstream.port}${node ? ` · node ${node.name} ${node.address}` : ''}   ${seconds(ms)}`,
  );
  if (signal.aborted) {
    await ended(parts, list);
    return false;
  }
  const stack = await list.section(
    'services',
    (waitingFor) => LocalStack.onParts(parts, () => parts.stop(), { waitingFor }),
    (_, ms) =>
      `${SERVICES.map((name) => `${name}${REPLICAS[name] > 1 ? ` x${REPLICAS[name]}` : ''} ready`).join(' · ')}   ${seconds(ms)}`,
  );
  let held = true;
  try {
    if (signal.aborted) return false;
    await list.section(
      'leaders',
      (waitingFor) => (waitingFor('leaders to be elected'), leadersOf(stack.services)),
      (leaders) =>
        SERVICES.filter((service) => needs(service, 'lease'))
          .map((service) => leaders.get(service) ?? `${service}: none yet`)
          .join(' · '),
    );
    writeFileSync(path.join(folder, 'local.env'), localEnvironment(stack, folder), { mode: 0o600 });
    if (request.upstream === 'builtin') held = await tell(stack, list, { broken: request.broken, signal });
    if (request.once || signal.aborted) return held;
    // The story ends with a dead upstream; whoever plays on gets a living one.
    await stack.bringUpstreamBack();
    const pulled = [...stack.pushed.keys()].find((reference) => reference.includes('/shop:'));
    for (const line of tryIt({ ...request, proxy: stack.proxyPrefix, pulled })) list.line(line);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return held;
  } finally {
    await ended(stack, list);
  }
}

function ended(running: { stop(): Promise<unknown> }, list: Checklist): Promise<unknown> {
  return list.section(
    'stop',
    () => running.stop().finally(removeData),
    (_, ms) => `everything stopped   ${seconds(ms)}`,
  );
}

/** The main job; where pods really start, what they do. */
function tell(stack: LocalStack, list: Checklist, options: TellOptions): Promise<boolean> {
  const { node } = stack;
  return node === undefined
    ? tellStory(MAIN_JOB, stack, list, options)
    : tellStory(NODE_STORY, Object.assign(stack, { node }), list, options);
}
