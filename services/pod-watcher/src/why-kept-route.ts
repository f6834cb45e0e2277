import { type RemovalStanza, stanzaOf } from '@kuik/contracts';
import { formatReference, fromProxyImage, tryParseReference } from '@kuik/image';
import type { HealthServerOptions } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import type { HintBook } from './hint-book.ts';
import type { Watches } from './watches.ts';
import { type Kept, whyKept } from './why-kept.ts';

export interface WhyKeptParts {
  readonly view: ClusterView;
  readonly watches: Pick<Watches, 'state'>;
  readonly hints: Pick<HintBook, 'expected'>;
  /** How running pods name images: such a name is read back. */
  readonly proxyPrefixes: readonly string[];
  readonly now: () => number;
}

/**
 * `GET /why-kept?image=<reference>`: everything that keeps an image, a line each; JSON to whoever accepts only that. 400 when the image is no
 * reference, 404 when nobody knows it. Every replica answers, from what it sees itself.
 */
export function whyKeptRoute(parts: WhyKeptParts): NonNullable<HealthServerOptions['routes']> {
  return (router) =>
    void router.get('/why-kept', (request, response) => {
      const { status, body } = answer(request.query['image'], parts);
      response.status(status);
      if (request.accepts(['text', 'json']) === 'json') response.json(body);
      else response.type('text').send(linesOf(body));
    });
}

interface Body {
  readonly image?: string;
  readonly error?: string;
  readonly kept?: boolean;
  readonly reasons?: readonly Kept[];
  readonly removal?: RemovalStanza;
}

function answer(
  asked: unknown,
  { view, watches, hints, proxyPrefixes, now }: WhyKeptParts,
): { status: number; body: Body } {
  const reference =
    typeof asked === 'string' ? (fromProxyImage(asked, proxyPrefixes)[0] ?? tryParseReference(asked)) : undefined;
  if (reference === undefined) {
    const error = 'image is missing or no reference: ask for example /why-kept?image=docker.io/library/nginx:1.27';
    return { status: 400, body: { error } };
  }
  const image = formatReference(reference);
  const [object] = view.images.of(image);
  const holders = view.usage.holdersOf(image);
  const expected = hints.expected(image);
  if (object === undefined && holders.size === 0 && expected === undefined) {
    return { status: 404, body: { image, error: `no CachedImage stands for ${image}, and nobody holds it` } };
  }
  const unknown = watches
    .state()
    .filter(({ synced }) => !synced)
    .map(({ resource, state }) => ({ resource, why: state === 'listed' || state === 'absent' ? 'stale' : state }));
  const reasons = whyKept({ holders, expected, object, unknown, now: now() });
  const removal = object === undefined ? undefined : stanzaOf(object, 'removal');
  return {
    status: 200,
    body: { image, kept: reasons.length > 0, reasons, ...(removal === undefined ? {} : { removal }) },
  };
}

function linesOf({ image, error, kept, reasons = [], removal }: Body): string {
  if (error !== undefined) return `${error}\n`;
  const head = `${image} ${kept ? 'is kept' : 'is kept by nothing'}`;
  const going = removal === undefined ? [] : [`condemned at ${removal.condemnedAt} (${removal.reason})`];
  if (removal?.removedAt !== undefined) going.push(`removed from the cache at ${removal.removedAt}`);
  const lines = reasons.map(({ reason, message }) => `${reason.padEnd(15)} ${message}`);
  return `${[head, ...lines, ...going].join('\n')}\n`;
}
