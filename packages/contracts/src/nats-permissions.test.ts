import { describe, expect, it } from '@jest/globals';
import { inboxPrefix, natsAuthorization, natsPermissions } from './nats-permissions.ts';
import {
  ACCESS_RECORDS,
  CREDENTIALS,
  HOLDERS_CONFIRM,
  IMAGE_SERVED,
  IMAGE_STATE,
  IMAGE_USED,
  TRANSFER_OWNERS,
} from './subjects.ts';
import { SERVICES, type ServiceName } from './services.ts';

/** NATS subject matching: `*` is one token, a final `>` one or more. */
function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const given = subject.split('.');
  for (const [i, token] of wanted.entries()) {
    if (token === '>') return given.length > i;
    if (given[i] === undefined || (token !== '*' && token !== given[i])) return false;
  }
  return wanted.length === given.length;
}

// Whoever joins later is not in these tables: its own folder says what it may.
const KNOWN: readonly ServiceName[] = ['webhook', 'pod-watcher', 'image-copier', 'monitor', 'gc', 'node-proxy'];

const permissions = natsPermissions();
const publishers = (subject: string, among = KNOWN): ServiceName[] =>
  among.filter((service) => permissions[service].publish.some((pattern) => matches(pattern, subject)));
const listeners = (subject: string, among = KNOWN): ServiceName[] =>
  among.filter((service) => permissions[service].subscribe.some((pattern) => matches(pattern, subject)));

describe('natsPermissions', () => {
  const key = `$KV.${IMAGE_STATE.bucket}.0123456789abcdef.00112233445566778899aabbccddeeff`;
  const stream = `KV_${IMAGE_STATE.bucket}`;

  const right = `$KV.${ACCESS_RECORDS.bucket}.0123456789abcdef.00112233445566778899aabbccddeeff`;
  const rights = `KV_${ACCESS_RECORDS.bucket}`;

  it.each<[string, ServiceName[], ServiceName[]]>([
    [IMAGE_USED.subject, ['webhook'], ['pod-watcher']],
    [TRANSFER_OWNERS.subject, ['image-copier'], ['node-proxy']],
    [HOLDERS_CONFIRM.subject, ['gc'], ['pod-watcher']],
    [CREDENTIALS.subject, ['image-copier', 'monitor', 'node-proxy'], ['pod-watcher']],
    [IMAGE_SERVED.subject, ['gc', 'node-proxy'], []],
    [IMAGE_SERVED.deadLetters, ['pod-watcher'], []],
    [`$JS.ACK.${IMAGE_SERVED.stream}.pod-watcher.1.1.1.1.0`, ['pod-watcher'], []],
    [`$JS.API.CONSUMER.MSG.NEXT.${IMAGE_SERVED.stream}.pod-watcher`, ['pod-watcher'], []],
    [`$JS.API.STREAM.CREATE.${IMAGE_SERVED.stream}`, ['pod-watcher'], []],
    [key, ['pod-watcher', 'image-copier', 'gc'], ['pod-watcher', 'image-copier', 'gc', 'node-proxy']],
    [`$JS.API.DIRECT.GET.${stream}.${key}`, ['pod-watcher', 'image-copier', 'gc', 'node-proxy'], []],
    [`$JS.API.STREAM.CREATE.${stream}`, ['pod-watcher'], []],
    [`$JS.API.STREAM.DELETE.${stream}`, [], []],
    ['kuik.upstream.told', ['node-proxy'], ['monitor']],
    ['kuik.manifests.read', ['node-proxy'], ['image-copier']],
    ['$KV.kuik_host_state.abc', ['monitor'], ['monitor', 'node-proxy']],
    [right, ['pod-watcher'], []],
    [`$JS.API.DIRECT.GET.${rights}.${right}`, ['pod-watcher', 'node-proxy'], []],
    // Who may pull what is looked up by those who can name it: nobody lists it.
    [`$JS.API.DIRECT.GET.${rights}`, [], []],
    [`$JS.API.STREAM.MSG.GET.${rights}`, [], []],
    [`$JS.API.CONSUMER.CREATE.${rights}.x.y`, [], []],
    ['$JS.API.STREAM.CREATE.KV_other', [], []],
    ['$JS.API.STREAM.LIST', [], []],
    ['$SYS.REQ.SERVER.PING', [], []],
    ['anything.else', [], []],
  ])('%s: published by %j, heard by %j', (subject, mayPublish, mayListen) => {
    expect(publishers(subject).sort()).toEqual([...mayPublish].sort());
    expect(listeners(subject).sort()).toEqual([...mayListen].sort());
  });

  it.each(SERVICES)('gives %s an inbox that nobody else hears and nobody may write to unasked', (service) => {
    expect(listeners(`${inboxPrefix(service)}.abc.1`, SERVICES)).toEqual([service]);
    expect(publishers(`${inboxPrefix(service)}.abc.1`, SERVICES)).toEqual([]);
  });

  it('lets only responders reply', () => {
    expect(KNOWN.filter((service) => permissions[service].responds).sort()).toEqual(['image-copier', 'pod-watcher']);
  });
});

describe('natsAuthorization', () => {
  it('names one nkey user per service and nobody else', () => {
    const keys = Object.fromEntries(SERVICES.map((service) => [service, `U-${service}`])) as Record<
      ServiceName,
      string
    >;
    const { users } = natsAuthorization(keys);
    expect(users.map((user) => user.nkey)).toEqual(SERVICES.map((service) => `U-${service}`));
    const answering = users.filter((user) => user.permissions.allow_responses).map((user) => user.nkey);
    expect(KNOWN.filter((service) => answering.includes(`U-${service}`)).sort()).toEqual([
      'image-copier',
      'pod-watcher',
    ]);
  });
});
