import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startCacheRegistry, startUpstreamRegistry, type CacheRegistry, type UpstreamRegistry } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { startFront, type Behind } from './conformance/front.ts';
import { runSuite, type Findings } from './conformance/run-suite.ts';
import { startProxy, type AloneProxy } from './conformance/start-proxy.ts';

/** Has never heard of anything: what is pulled from it can only be in the cache. */
const KEPT = 'kept.example.test';
const UPSTREAM = 'upstream.example.test';
const KINDS = [
  'INDEX_LIST',
  'ARTIFACT_LIST',
  'SUBJECT_LIST',
  'DATA_FIELD',
  'NONDISTRIBUTABLE',
  'CUSTOM_FIELDS',
  'NO_LAYERS',
];
const SETTINGS = {
  // Distribution files everything under its sha256, and says so.
  OCI_DATA_SHA512: 'false',
  // Every part of the API with images, indexes, artifacts and what refers to them; in full with every kind of content.
  ...Object.fromEntries(sized({ usual: KINDS, full: [] }).map((kind) => [`OCI_DATA_${kind}`, 'false'])),
};
const LEAST = sized({ usual: 200, full: 300 });
/** What is not as the suite wants it, and why it may be so. */
const KNOWN = [
  { test: /blobs\/(bad digest )?post only\/.* fallback to PUT$/, why: 'Distribution takes no blob in one POST' },
  {
    test: /blobs\/mount anonymous\/.* fell back to blob POST\+PUT$/,
    why: 'Distribution mounts from what is named only',
  },
];

let cache: CacheRegistry;
let upstream: UpstreamRegistry;
let nothing: Server;
let proxy: AloneProxy;
beforeAll(async () => {
  nothing = createServer((_request, response) => response.writeHead(404).end());
  [cache, upstream] = await Promise.all([
    startCacheRegistry(),
    startUpstreamRegistry(),
    new Promise((resolve) => nothing.listen(0, '127.0.0.1', () => resolve(undefined))),
  ]);
  const { port } = nothing.address() as AddressInfo;
  proxy = await startProxy(cache, { [KEPT]: `127.0.0.1:${port}`, [UPSTREAM]: upstream.host });
});
afterAll(async () => {
  await proxy?.stop();
  await Promise.all([cache?.stop(), upstream?.stop()]);
  nothing.close();
});

/** The suite against the proxy, with `behind` to push to. */
async function judge(host: string, behind: (repositories: readonly string[]) => Behind, more = {}): Promise<Findings> {
  const repositories = [`${host}/conformance/one`, `${host}/conformance/two`] as const;
  const front = await startFront(proxy.url, behind(repositories));
  try {
    const findings = await runSuite(host.split('.')[0]!, front.host, repositories, { ...SETTINGS, ...more });
    expect(front.asked.proxy).toBeGreaterThan(LEAST);
    return findings;
  } finally {
    await front.close();
  }
}

const unexpected = ({ failures }: Findings): string[] =>
  failures.filter((failure) => !KNOWN.some(({ test }) => test.test(failure)));

describe('the conformance suite of the distribution spec, with GET and HEAD answered by the node proxy', () => {
  it('finds nothing amiss in what the cache holds', async () => {
    const cached = (repositories: readonly string[]): Behind => ({
      url: cache.writerUrl,
      authorization: () =>
        cache.authorization(
          'writer',
          repositories.map((repository) => ({ repository, actions: ['pull', 'push', 'delete'] })),
        ),
    });
    // A manifest that was deleted from the cache is served for some seconds more: its digest says that it is right.
    const findings = await judge(KEPT, cached, { OCI_API_MANIFESTS_ATOMIC: 'false' });
    expect(unexpected(findings)).toEqual([]);
    expect(findings.passed).toBeGreaterThan(LEAST);
    expect(findings.apis).toMatchObject(PULL_AND_DISCOVERY);
  });

  it('finds nothing amiss in what only upstream holds', async () => {
    const findings = await judge(UPSTREAM, () => ({ url: upstream.url, withoutHost: UPSTREAM }));
    expect(unexpected(findings)).toEqual([]);
    expect(findings.passed).toBeGreaterThan(LEAST);
    expect(findings.apis).toMatchObject({ ...PULL_AND_DISCOVERY, 'Manifest delete atomic': 'Pass' });
  });
});

const PULL_AND_DISCOVERY = {
  Ping: 'Pass',
  'Blob get': 'Pass',
  'Blob get range': 'Pass',
  'Blob head': 'Pass',
  'Manifest get by digest': 'Pass',
  'Manifest get by tag': 'Pass',
  'Manifest head by digest': 'Pass',
  'Manifest head by tag': 'Pass',
  'Tag listing': 'Pass',
  Referrers: 'Pass',
};
