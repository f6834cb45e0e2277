import { describe, expect, it } from '@jest/globals';
import { type NodeObject, NodePlatforms, REMEMBERED_MS, viewNode } from './node-platforms.ts';

const node = (change: Partial<NodeObject> & { labels?: Record<string, string> } = {}): NodeObject => ({
  metadata: {
    name: 'n',
    uid: 'u',
    resourceVersion: '1',
    ...(change.labels === undefined ? {} : { labels: change.labels }),
  },
  ...change,
});

describe('viewNode', () => {
  it.each<[string, NodeObject, string | undefined]>([
    ['its kubelet', node({ status: { nodeInfo: { operatingSystem: 'linux', architecture: 'arm64' } } }), 'linux/arm64'],
    ['its labels', node({ labels: { 'kubernetes.io/os': 'windows', 'kubernetes.io/arch': 'amd64' } }), 'windows/amd64'],
    [
      'its kubelet before its labels',
      node({
        labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' },
        status: { nodeInfo: { operatingSystem: 'linux', architecture: 'riscv64' } },
      }),
      'linux/riscv64',
    ],
    [
      'an arm of no variant',
      node({ status: { nodeInfo: { operatingSystem: 'linux', architecture: 'arm' } } }),
      'linux/arm',
    ],
    ['half of it', node({ status: { nodeInfo: { operatingSystem: 'linux' } } }), undefined],
    ['nothing', node(), undefined],
    [
      'its labels, before its kubelet has said anything',
      node({
        labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'arm64' },
        status: { nodeInfo: { operatingSystem: '', architecture: '' } },
      }),
      'linux/arm64',
    ],
    ['empty words', node({ status: { nodeInfo: { operatingSystem: '', architecture: '' } } }), undefined],
  ])('%s', (_name, object, platform) => {
    expect(viewNode(object)).toEqual({ name: 'n', platform });
  });
});

describe('NodePlatforms', () => {
  it('knows nothing without nodes, and nothing while one does not say', () => {
    const nodes = new NodePlatforms(() => 0);
    expect(nodes.wanted()).toBeUndefined();
    nodes.put({ name: 'a', platform: 'linux/amd64' });
    expect(nodes.wanted()).toEqual(['linux/amd64']);
    nodes.put({ name: 'b', platform: undefined });
    expect(nodes.wanted()).toBeUndefined();
    nodes.put({ name: 'b', platform: 'linux/arm64' });
    nodes.put({ name: 'c', platform: 'linux/amd64' });
    expect(nodes.wanted()).toEqual(['linux/amd64', 'linux/arm64']);
  });

  it('wants a platform for a day after its last node, however it went', () => {
    let now = 0;
    const nodes = new NodePlatforms(() => now);
    nodes.replaceAll(
      ['a', 'b', 'c'].map((name, at) => ({ name, platform: `linux/${['amd64', 'arm64', 's390x'][at]}` })),
    );
    nodes.remove('b');
    nodes.replaceAll([{ name: 'a', platform: 'linux/amd64' }]);
    expect(nodes.wanted()).toEqual(['linux/amd64', 'linux/arm64', 'linux/s390x']);
    now = REMEMBERED_MS - 1;
    expect(nodes.wanted()).toHaveLength(3);
    now = REMEMBERED_MS;
    expect(nodes.wanted()).toEqual(['linux/amd64']);
  });
});
