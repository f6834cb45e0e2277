import type { BlobTurns } from '@kuik/queue';
import type { Transfers } from './transfers.ts';

/** Turns of copies that tell our transfers what is being brought into the cache, and whether it got there: from then on nobody needs the spool. */
export function bringingTurns(
  turns: Pick<BlobTurns, 'of'>,
  transfers: Pick<Transfers, 'bringing'>,
): Pick<BlobTurns, 'of'> {
  return {
    of(host) {
      const own = turns.of(host);
      return {
        landed: (...told) => own.landed(...told),
        async take(digest, options) {
          const turn = await own.take(digest, options);
          if (turn.do !== 'bring') return turn;
          const brought = transfers.bringing({ host, digest });
          return {
            do: 'bring',
            end(landedIn) {
              brought(landedIn !== undefined);
              return turn.end(landedIn);
            },
          };
        },
      };
    },
  };
}
