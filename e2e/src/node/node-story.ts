import { upstreamStopped } from '../story/pull.ts';
import type { AnyStep } from '../story/step.ts';
import type { NodeWorld } from './node-pods.ts';
import { pulledAlways, shopCached, shopRuns, shopRunsAgain } from './run-shop.ts';

/** The main job where pods really start: run, cached, upstream dead, images gone from the node, running again. */
export const NODE_STORY: readonly AnyStep<NodeWorld>[] = [
  shopRuns,
  shopCached,
  upstreamStopped,
  shopRunsAgain,
  pulledAlways,
];
