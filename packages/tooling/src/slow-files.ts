/**
 * Test files that take long, the longest first: they begin before all others. jest knows by itself how long a file took on this machine, and nothing
 * in a fresh clone. Whoever is not named here is none of the long ones.
 */
export const SLOW_FILES: readonly string[] = [
  // unit
  'packages/kube/src/memory/memory-kube.test.ts',
  'packages/queue/src/memory/memory-queue.test.ts',
  // integration
  'services/image-copier/src/copier-trouble.int.test.ts',
  'services/node-proxy/src/memory.int.test.ts',
  'services/pod-watcher/src/pod-watcher.int.test.ts',
  'packages/queue/src/redis/crashes.int.test.ts',
  'packages/queue/src/redis/redis-queue.int.test.ts',
  'packages/bus/src/nats/nats-bus.int.test.ts',
  'services/node-proxy/src/transfers.int.test.ts',
  'services/node-proxy/src/tags.int.test.ts',
  'services/image-copier/src/shared-blobs.int.test.ts',
  'services/node-proxy/src/failures/shared-failures.int.test.ts',
  'services/webhook/src/policy-switch.int.test.ts',
  'packages/runtime/src/run-service.int.test.ts',
  'services/node-proxy/src/failures/failures.int.test.ts',
  'packages/bus/src/nats/nats-outage.int.test.ts',
  'packages/registry/src/copy.int.test.ts',
  'packages/registry/src/copy-memory.int.test.ts',
  'packages/kube/src/reflector-restart.int.test.ts',
  'packages/kube/src/reflector-load.int.test.ts',
  'e2e/src/stack/chart-life.int.test.ts',
  // stories
  'e2e/src/real-node.story.test.ts',
  'e2e/src/behaviours.story.test.ts',
  // Behind the other one with a real node: a machine has one at a time, and they take about as long as what begins beside them.
  'e2e/src/installed-chart.story.test.ts',
  'e2e/src/once.story.test.ts',
  'e2e/src/faults.story.test.ts',
  'e2e/src/main-job.story.test.ts',
  'e2e/src/rolling.story.test.ts',
  'e2e/src/weekend.story.test.ts',
];
