import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { followConfigMap, type ConfigMap, type FollowedConfigMap } from './followed-config-map.ts';
import { memoryKube, type MemoryKube } from './memory/index.ts';
import { CONFIG_MAPS } from './resources.ts';
import { until } from './testing/until.ts';

const map = { namespace: 'kuik-system', name: 'mine' };
let client: MemoryKube;
let followed: FollowedConfigMap;
let failures: number;
let changes: number;

function follow(firstMs?: number): void {
  const metrics = { counter: () => ({ inc: () => undefined }) };
  const host = { log: { warn: () => (failures += 1) }, metrics };
  followed = followConfigMap({ client, map, host, backoff: { firstMs: 1, maxMs: 1 }, ...(firstMs && { firstMs }) });
  followed.onChange(() => (changes += 1));
}

beforeEach(() => {
  client = memoryKube();
  [failures, changes] = [0, 0];
});
afterEach(() => followed.close());

it('is there when it has started, and follows what becomes of it', async () => {
  client.put<ConfigMap>(CONFIG_MAPS, { metadata: map, data: { a: '1' } });
  client.put<ConfigMap>(CONFIG_MAPS, { metadata: { ...map, name: 'another' }, data: { b: '1' } });
  client.put<ConfigMap>(CONFIG_MAPS, { metadata: { ...map, namespace: 'default' }, data: { c: '1' } });
  follow(5_000);
  expect([followed.synced(), followed.current()?.data]).toEqual([false, undefined]);
  await followed.start();
  expect([followed.synced(), followed.current()?.data]).toEqual([true, { a: '1' }]);
  const before = changes;
  client.put<ConfigMap>(CONFIG_MAPS, { metadata: map });
  await until(() => followed.current()?.data['a'] === undefined, { what: 'the change' });
  expect(followed.current()?.data).toEqual({});
  client.drop(CONFIG_MAPS, map);
  await until(() => followed.current() === undefined, { what: 'its end' });
  expect(changes).toBe(before + 2);
  expect(failures).toBe(0);
});

it('starts without it when the API server does not answer in time, and has it later', async () => {
  client.put<ConfigMap>(CONFIG_MAPS, { metadata: map, data: { a: '1' } });
  client.failNext('unavailable', { verb: 'list', resource: CONFIG_MAPS, times: 20 });
  follow(5);
  await followed.start();
  expect([followed.synced(), followed.current()?.data]).toEqual([false, undefined]);
  await until(() => followed.synced(), { what: 'the list' });
  expect(followed.current()?.data).toEqual({ a: '1' });
  expect(failures).toBe(21);
});
