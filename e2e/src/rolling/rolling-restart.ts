import { setTimeout as sleep } from 'node:timers/promises';
import { makeImage, type ServiceProcess } from '@kuik/testbed';
import got from 'got';
import type { LocalStack } from '../stack/local-stack.ts';
import { metricOf } from '../stack/metric.ts';
import { pod } from '../story/pods.ts';
import { HOST } from '../story/world.ts';

const PODS = '/api/v1/namespaces/default/pods';
const SECRETS = '/api/v1/namespaces/default/secrets';
const AT_ONCE = 8;
const WRITES = ['create', 'apply', 'patch', 'delete'];
/** What the API server is told of images; Leases go by time. */
const TOLD = ['cachedimages', 'repositories', 'events'];

/** What our services did so far, by their own metrics. */
export interface Account {
  /** Writes to CachedImages, Repositories and events. */
  readonly writes: number;
  /** Lists and watches of Secrets. */
  readonly secretLists: number;
  readonly admissions: number;
  /** Admissions that took no longer than the bound. */
  readonly quick: number;
  /** Of the largest pod-watcher. */
  readonly residentMiB: number;
}

/** `boundSeconds` is one of the buckets of the webhook's histogram. */
export async function accountOf(stack: LocalStack, boundSeconds: number): Promise<Account> {
  const services = Object.values(stack.services).flat();
  const texts = await Promise.all(services.map((service) => metricsOf(service)));
  const calls = (verb: string, resource: string): number =>
    texts.reduce((sum, text) => sum + metricOf(text, 'kuik_kube_calls_total', { verb, resource }), 0);
  const ofAll = (name: string, labels = {}): number =>
    texts.reduce((sum, text) => sum + metricOf(text, name, labels), 0);
  const resident = services
    .map(({ service }, index) => (service === 'pod-watcher' ? texts[index]! : ''))
    .map((text) => metricOf(text, 'process_resident_memory_bytes') / 1024 / 1024);
  return {
    writes: WRITES.flatMap((verb) => TOLD.map((resource) => calls(verb, resource))).reduce((a, b) => a + b, 0),
    secretLists: calls('list', 'secrets') + calls('watch', 'secrets'),
    admissions: ofAll('kuik_webhook_admission_seconds_count'),
    quick: ofAll('kuik_webhook_admission_seconds_bucket', { le: String(boundSeconds) }),
    residentMiB: Math.max(...resident),
  };
}

/** Secrets of 32 KiB that are nobody's business. */
export function makeSecrets({ api }: LocalStack, count: number): Promise<void> {
  const stringData = { value: 'x'.repeat(32 * 1024) };
  return each(count, (index) => api.create(SECRETS, { metadata: { name: `secret-${index}` }, stringData }));
}

/** Puts images upstream; returns their references. */
export async function pushImages(stack: LocalStack, count: number): Promise<string[]> {
  await each(count, async (index) => {
    const image = await makeImage({ seed: `rolling/${index}`, layers: [{ bytes: 2_000, encoding: 'raw' }] });
    await stack.push(HOST, `rolling/app-${index}`, ['1'], image);
  });
  return Array.from({ length: count }, (_, index) => `${HOST}/rolling/app-${index}:1`);
}

/** One pod for each index, its image in turn. */
export function makePods(stack: LocalStack, count: number, references: readonly string[]): Promise<void> {
  return each(count, (index) => makePod(stack, `web-${index}`, references[index % references.length]!));
}

/** Each pod is replaced by another one, over so many ms. */
export function replacePods(
  stack: LocalStack,
  count: number,
  references: readonly string[],
  overMs: number,
): Promise<void> {
  const since = performance.now();
  return each(count, async (index) => {
    await sleep(Math.max(0, since + (index * overMs) / count - performance.now()));
    await makePod(stack, `web-${index}-anew`, references[index % references.length]!);
    await stack.api.request('DELETE', `${PODS}/web-${index}`, { gracePeriodSeconds: 0 });
  });
}

async function makePod({ api }: LocalStack, name: string, image: string): Promise<void> {
  await api.create(PODS, pod(name, [{ name: 'app', image }]));
}

function metricsOf({ metricsUrl }: ServiceProcess): Promise<string> {
  return got(metricsUrl, { retry: { limit: 0 } }).text();
}

async function each(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
