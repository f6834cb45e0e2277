export type * from './port.ts';
export * from './resources.ts';
export { KubeError, isKubeError } from './kube-error.ts';
export { createKubeClient } from './client.ts';
export { createReflector } from './reflector.ts';
export { discoverResource } from './discover.ts';
export { createEventRecorder } from './event-recorder.ts';
export type { LeaderCopy } from './leader-copy.ts';
export { followCachedImages, identityOf, openKube, openLeadership, type KubeHost } from './open-kube.ts';
