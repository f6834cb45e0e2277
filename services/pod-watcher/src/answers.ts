import type { Bus, Stoppable } from '@kuik/bus';
import {
  ACCESS_VERDICT,
  type CachedImage,
  CREDENTIALS,
  HOLDERS_CONFIRM,
  type HoldersConfirmReply,
  type HoldersConfirmRequest,
} from '@kuik/contracts';
import type { Part } from '@kuik/runtime';
import type { AccessBroker } from './access-broker.ts';
import type { ClusterView } from './cluster-view.ts';
import { confirmHolders } from './confirm-holders.ts';
import type { CredentialBroker } from './credential-broker.ts';
import type { HintBook } from './hint-book.ts';

export interface AnswersParts {
  readonly bus: Bus;
  readonly view: ClusterView;
  readonly hints: HintBook;
  readonly broker: CredentialBroker;
  readonly access: Pick<AccessBroker, 'answer'>;
  /** This replica leads, and every watch is complete and alive. */
  readonly mayConfirm: () => boolean;
  readonly readImage: (name: string) => Promise<CachedImage>;
}

const BROKERS = 'broker';

/** The requests that this service answers. It begins when the first full lists are in: half a list would deny what is there. */
export class Answers implements Part {
  readonly name = 'answers';
  readonly #parts: AnswersParts;
  #responders: Stoppable[] = [];
  #closed = false;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** Idempotent. */
  begin(): void {
    if (this.#closed || this.#responders.length > 0) return;
    const { bus, broker, access } = this.#parts;
    this.#responders = [
      bus.respond(CREDENTIALS, (request) => broker.answer(request), { queue: BROKERS }),
      bus.respond(ACCESS_VERDICT, (request) => access.answer(request), { queue: BROKERS }),
      bus.respond(HOLDERS_CONFIRM, (request) => this.#confirm(request)),
    ];
  }

  notReady(): string | undefined {
    return this.#responders.length === 0
      ? 'the first full lists of pods, workloads and resources are not in yet'
      : undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#responders.map((responder) => responder.stop()));
  }

  /** Silent unless it knows: no answer removes nothing. */
  async #confirm(request: HoldersConfirmRequest): Promise<HoldersConfirmReply | undefined> {
    const { view, hints, mayConfirm, readImage } = this.#parts;
    if (!mayConfirm()) return undefined;
    const seen = {
      holdersOf: (image: string) => view.usage.holdersOf(image),
      expected: (image: string) => hints.expected(image),
      objectsOf: (image: string) => view.images.of(image),
    };
    const images = await Promise.all(request.images.map((asked) => confirmHolders(asked, seen, readImage)));
    return mayConfirm() ? { images } : undefined;
  }
}
