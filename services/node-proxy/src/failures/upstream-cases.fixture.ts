import { FAILURE_CELLS, type FailureCell, type UpstreamCase } from '@kuik/contracts';
import type { FaultProxy } from '@kuik/testbed';
import { BOUNDS, HUNG } from './bounds.fixture.ts';

/** More than one read of a socket, and more than 64 KiB on either side of the cut: a rest that counts as progress. */
export const LAYER_BYTES = 300_000;
const CUT_AT = 100_000;
export const RANGE = { first: 1000, last: 279_999 } as const;
/** Later than a tag is waited for, earlier than an answer is given up. */
const SLOW_MS = 500;
/** Where blobs are redirected to when their CDN is dead. */
export const DEAD_CDN = 'dead.example.test';

const slug = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

/** The host that is in this case, and in no other. */
export const upstreamHost = (upstream: UpstreamCase): string => `${slug(upstream)}.example.test`;
/** A repository of the cell's own, on the host of its upstream. */
export const repositoryOf = ({ cache, pull }: Pick<FailureCell, 'cache' | 'pull'>): string =>
  `${slug(cache)}/${slug(pull)}`;

const repositoriesOf = (upstream: UpstreamCase): string[] =>
  FAILURE_CELLS.filter((cell) => cell.upstream === upstream).map(repositoryOf);

/** Has a broker a credential for this host? It is one that the host refuses. */
export const credentialFor = (host: string) =>
  host === upstreamHost('credential refused')
    ? ({ kind: 'header', value: 'Basic bm86bm8=', expiresAtMs: 9e15 } as const)
    : ({ kind: 'anonymous' } as const);

/** `registries` with what the cases need beside their faults: bounds of those that never answer, and the address of the one where nobody is. */
export function withCases<R extends object>(registries: Readonly<Record<string, R>>, nobodyAt: string) {
  const of = (upstream: UpstreamCase, more: object) => ({
    [upstreamHost(upstream)]: { ...registries[upstreamHost(upstream)], ...more },
  });
  return {
    ...registries,
    ...of('black-holed', { timeouts: HUNG }),
    ...of('lost packets', { timeouts: HUNG, address: nobodyAt }),
    ...of('stalls mid-blob', { timeouts: { idle: `${BOUNDS.silence}ms` } }),
  };
}

/** Brings a case upon its host. */
export async function bringAbout(upstream: UpstreamCase, faults: FaultProxy): Promise<void> {
  const host = faults.host(upstreamHost(upstream));
  switch (upstream) {
    case 'up':
      return;
    case 'slow':
      return void host.on().latency(SLOW_MS);
    case '401':
    case 'credential refused':
      return void host.on().unauthorized();
    case '403':
      return void host.on().forbidden();
    case '404':
      return void host.on().gone();
    case '405 on HEAD':
      return void host.on({ method: 'HEAD' }).answer(405);
    case '429':
      return void host.on().rateLimited({ retryAfter: 30 });
    case '5xx':
      return void host.on().serverError(503);
    case 'resets mid-blob':
      return void host.on({ kind: 'blob' }).cutAt(CUT_AT);
    case 'stalls mid-blob':
      for (const repository of repositoriesOf(upstream))
        host.on({ kind: 'blob', repository }).stallAfter(CUT_AT).times(1);
      return;
    case 'dies mid-blob':
      for (const repository of repositoriesOf(upstream)) {
        const match = { kind: 'blob', repository } as const;
        host.on(match).cutAt(CUT_AT).times(1);
        host.on(match).reset().after(1);
      }
      return;
    case 'wrong bytes':
      return void host.on({ method: 'GET', kind: ['manifest', 'blob'] }).flip(100);
    case 'dead CDN':
      host.on({ kind: 'blob' }).redirect(DEAD_CDN);
      return faults.host(DEAD_CDN).down();
    case 'down':
      return host.down();
    case 'black-holed':
      return void host.on().hang();
    // Its address is one where nobody is.
    case 'lost packets':
      return;
  }
}
