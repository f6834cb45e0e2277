import type { EventRecorder, Leadership } from '@kuik/kube';
import { REASONS } from '@kuik/rules';
import type { Logger } from '@kuik/runtime';
import type { ClusterView, ViewListener } from './cluster-view.ts';
import { holderTitle } from './holder-view.ts';
import { repositoryTransitions, transitionsOf } from './transitions.ts';

export interface TellingParts {
  readonly view: Pick<ClusterView, 'usage'>;
  readonly leadership: Pick<Leadership, 'isLeader'>;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly log: Logger;
}

/** Makes events of what happened to images and Repositories (the leader alone), and log lines of images that are not kept. */
export function tellingTransitions({ view, leadership, events, log }: TellingParts): ViewListener {
  return {
    holderChanged: (holder) => {
      const skipped = view.usage.imagesOf(holder)?.skipped ?? [];
      const told = skipped.filter(({ reason }) => reason !== REASONS.namespaceIgnored);
      if (told.length > 0) log.debug('images are not kept', { holder: holderTitle(holder), images: told });
    },
    imageSeen: (before, image) => {
      if (!leadership.isLeader()) return;
      for (const { type, reason, message } of transitionsOf(before, image)) events.event(image, type, reason, message);
    },
    repositorySeen: (before, repository) => {
      if (!leadership.isLeader()) return;
      for (const { type, reason, message } of repositoryTransitions(before, repository))
        events.event(repository, type, reason, message);
    },
  };
}
