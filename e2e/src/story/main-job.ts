import { podAdmitted } from './admit.ts';
import { imagesCopied } from './copy.ts';
import { requestFollowed } from './follow.ts';
import { pulledFromCache, pulledWithoutUpstream, upstreamStopped } from './pull.ts';
import { proxyAlone, tableOfCached, workerKilled } from './survive.ts';
import type { AnyStep } from './step.ts';
import type { World } from './world.ts';

/** The main job, end to end: admit, copy, serve, outlive the upstream. */
export const MAIN_JOB: readonly AnyStep<World>[] = [
  podAdmitted,
  imagesCopied,
  pulledFromCache,
  requestFollowed,
  workerKilled,
  upstreamStopped,
  pulledWithoutUpstream,
  proxyAlone,
  tableOfCached,
];
