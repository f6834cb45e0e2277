import { duration } from '@kuik/contracts';
import { z } from 'zod';
import type { MonitorConfig } from './config.ts';
import type { Budget } from './schedule.ts';

/** How one registry is asked. */
export interface HostPolicy extends Budget {
  /** Shortest time between two checks of one image. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly method: 'HEAD' | 'GET';
  readonly resolveDigest: boolean;
}

const own = z.strictObject({
  method: z.enum(['HEAD', 'GET']).optional().describe('GET counts against a quota where there is one'),
  interval: duration({ minMs: 1 }).optional(),
  maxPerInterval: z.number().int().min(0).max(100_000).optional().describe('Checks within any interval; 0: none'),
  timeout: duration({ minMs: 1 }).optional(),
  resolveDigest: z.boolean().optional().describe('Also look whether the registry has what the tag names'),
  fallbackCredentialSecret: z
    .never({
      error:
        "monitor reads no secrets: name it as pod-watcher's broker.fallbackSecrets.<host>: { name, namespace } and take it out here",
    })
    .optional()
    .describe("kuik v2's; refused here: pod-watcher's broker.fallbackSecrets takes its place"),
});

/** `monitor.registries`, in the shape of kuik v2's `monitoring.registries`: what an item leaves out, `default` says. */
export const hostPolicies = z
  .strictObject({ default: own.prefault({}), items: z.record(z.string(), own).default({}).describe('By host') })
  .prefault({})
  .describe("How single registries are asked, as kuik v2's monitoring.registries");

/** The policy of a host, field by field: its own item, then `default`, then what `monitor` says of all. */
export function policyOf({ monitor }: Pick<MonitorConfig, 'monitor'>, host: string): HostPolicy {
  const { registries, budgets } = monitor;
  const item = Object.hasOwn(registries.items, host) ? registries.items[host]! : {};
  const { default: everywhere } = registries;
  const budget = Object.hasOwn(budgets, host) ? budgets[host] : undefined;
  const intervalMs = item.interval ?? everywhere.interval ?? monitor.interval;
  return {
    checks: item.maxPerInterval ?? budget ?? everywhere.maxPerInterval ?? monitor.budgetPerInterval,
    windowMs: intervalMs,
    intervalMs,
    timeoutMs: item.timeout ?? everywhere.timeout ?? monitor.timeout,
    method: item.method ?? everywhere.method ?? 'HEAD',
    resolveDigest: item.resolveDigest ?? everywhere.resolveDigest ?? true,
  };
}
