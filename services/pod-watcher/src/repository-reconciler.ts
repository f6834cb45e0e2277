import type { Repository } from '@kuik/contracts';
import type { Clock, Logger } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import { recordedRepositorySummary, summariseRepository } from './repository-summary.ts';
import { repositoryMakesWay } from './make-way.ts';
import type { ResourceWriter } from './resource-writer.ts';
import { sameJson } from './same-json.ts';
import type { Settling } from './settling.ts';
import { isUntouchedRepository } from './untouched.ts';

export interface RepositoryReconcilerParts {
  readonly view: ClusterView;
  readonly writer: Pick<
    ResourceWriter,
    'applyRepositorySummary' | 'adoptRepository' | 'deleteRepository' | 'madeLately'
  >;
  readonly settling: Pick<Settling, 'leftMs' | 'restMs'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** A Repository that nobody edited goes after it had no image for this long, ms. */
  readonly idleMs: number;
}

/** Keeps what a Repository says true, and forgets it when it says nothing. */
export class RepositoryReconciler {
  readonly #parts: RepositoryReconcilerParts;
  readonly #emptySince = new Map<string, number>();

  constructor(parts: RepositoryReconcilerParts) {
    this.#parts = parts;
  }

  /** Returns when to look again. Throws KubeError. */
  async reconcile(repository: string): Promise<{ afterMs: number } | undefined> {
    const { view, writer, settling, clock, log, idleMs } = this.#parts;
    await this.#makeWay(repository);
    const images = view.imagesOfRepository(repository);
    const objects = view.repositories.of(repository);
    // A new one is described once, too: with the images that it was made for, and after a rush of others that wait for their copies.
    const settlesMs = Math.max(settling.restMs(), ...images.map((image) => settling.leftMs(image)));
    if (settlesMs > 0 && objects.every(isUndescribed)) return { afterMs: settlesMs };
    for (const [index, found] of objects.entries()) {
      const object = await writer.adoptRepository(found);
      const duplicateOf = index === 0 ? undefined : objects[0]?.metadata.name;
      const summary = summariseRepository(object, images, clock.now(), duplicateOf);
      if (!sameJson(summary, recordedRepositorySummary(object))) {
        await writer.applyRepositorySummary(object, summary);
      }
    }
    const [first] = view.repositories.of(repository);
    if (
      first === undefined ||
      images.length > 0 ||
      !isUntouchedRepository(first) ||
      first.metadata.deletionTimestamp !== undefined
    ) {
      this.#emptySince.delete(repository);
      return undefined;
    }
    const since = this.#emptySince.get(repository) ?? clock.now();
    this.#emptySince.set(repository, since);
    const leftMs = since + idleMs - clock.now();
    if (leftMs > 0) return { afterMs: leftMs };
    this.#emptySince.delete(repository);
    await writer.deleteRepository(first);
    log.info('repository forgotten', { repository, object: first.metadata.name });
    return undefined;
  }

  /** Takes back what this process made while somebody else's object for the repository was on its way into the view. */
  async #makeWay(repository: string): Promise<void> {
    const { view, writer, log } = this.#parts;
    const all = view.repositories.of(repository);
    if (all.length < 2) return;
    for (const one of all) {
      const way = repositoryMakesWay(one, all, (each) => writer.madeLately(each));
      if (way.do === 'stay') continue;
      await writer.deleteRepository(one);
      log.info('repository withdrawn', { repository, object: one.metadata.name, reason: way.reason });
    }
  }
}

function isUndescribed({ status }: Repository): boolean {
  return status?.phase === undefined;
}
