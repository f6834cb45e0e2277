import { startControlPlane } from '../control-plane/start-control-plane.ts';
import { leaseControlPlane } from '../lease/lease-control-plane.ts';
import type { ControlPlane, Stack, StackPart, StackParts } from '../port.ts';
import { runFolder } from '../process/folders.ts';
import { startCacheRegistry } from './cache-registry.ts';
import { startNats } from './nats.ts';
import { startRedis } from './redis.ts';
import { startUpstreamRegistry } from './upstream-registry.ts';

export const STACK_PARTS: readonly StackPart[] = ['controlPlane', 'nats', 'redis', 'cache', 'upstream'];

/** Starts the parts (default: all), each with empty data, side by side. What did start is stopped when one fails. */
export function startTestbed(): Promise<Stack>;
export function startTestbed<P extends StackPart>(options: { parts: readonly P[] }): Promise<Stack<P>>;
export function startTestbed(options?: { parts: readonly StackPart[] }): Promise<Stack> {
  return assemble(options?.parts ?? STACK_PARTS, startControlPlane);
}

/** The same for test files: the control plane is leased from the test run's broker, the cheap parts are started fresh. */
export function leaseTestbed<P extends StackPart>(options: { parts: readonly P[] }): Promise<Stack<P>> {
  return assemble(options.parts, leaseControlPlane);
}

async function assemble(parts: readonly StackPart[], controlPlane: () => Promise<ControlPlane>): Promise<Stack> {
  const start: { [P in StackPart]: () => Promise<StackParts[P]> } = {
    controlPlane,
    nats: startNats,
    redis: startRedis,
    cache: startCacheRegistry,
    upstream: startUpstreamRegistry,
  };
  const outcomes = await Promise.allSettled(parts.map(async (part) => [part, await start[part]()] as const));
  const started = outcomes.filter((outcome) => outcome.status === 'fulfilled').map((outcome) => outcome.value);
  let stopped: Promise<unknown> | undefined;
  const stop = async (): Promise<void> => {
    stopped ??= Promise.all(started.map(([, part]) => part.stop()));
    await stopped;
  };
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) {
    await stop();
    throw failed.reason;
  }
  return Object.assign({ runFolder: runFolder(), stop }, Object.fromEntries(started) as unknown as StackParts);
}
