import { FAILURE_CELLS, type FailureCell, type UpstreamCase } from '@kuik/contracts';
import type { FaultProxy } from '@kuik/testbed';

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

/** Brings a case upon its host. */
export async function bringAbout(upstream: UpstreamCase, faults: FaultProxy): Promise<void> {
  const host = faults.host(upstreamHost(upstream));
  switch (upstream) {
    case 'up':
      return;
    case 'slow':
      return void host.on().latency(SLOW_MS);
    case '401':
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
    case 'dies mid-blob':
      for (const cell of FAILURE_CELLS.filter((one) => one.upstream === upstream)) {
        const match = { kind: 'blob', repository: repositoryOf(cell) } as const;
        host.on(match).cutAt(CUT_AT).times(1);
        host.on(match).reset().after(1);
      }
      return;
    case 'wrong bytes':
      return void host.on({ method: 'GET' }).flip(100);
    case 'dead CDN':
      host.on({ kind: 'blob' }).redirect(DEAD_CDN);
      return faults.host(DEAD_CDN).down();
    case 'down':
      return host.down();
    case 'black-holed':
      return void host.on().hang();
  }
}
