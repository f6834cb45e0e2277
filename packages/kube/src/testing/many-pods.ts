import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * An API server with thousands of pods, in a process of its own, so that making them counts neither as our blocking nor as our memory.
 * Arguments: how many pods, and bytes of each. Sends its port.
 */
const [count, bytes] = process.argv.slice(2).map(Number) as [number, number];

function pod(i: number): string {
  const padding = 'x'.repeat(bytes - 700);
  return JSON.stringify({
    metadata: {
      name: `pod-${i}`,
      namespace: `ns-${i % 50}`,
      uid: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
      resourceVersion: String(1000 + i),
      labels: { app: `app-${i % 100}` },
      annotations: { padding },
    },
    spec: {
      nodeName: `node-${i % 20}`,
      containers: [
        {
          name: 'main',
          image: `registry.example.test/team/app-${i % 100}:1.${i % 7}`,
          resources: { limits: { cpu: '1' } },
        },
        { name: 'sidecar', image: 'registry.example.test/mesh/proxy:2', resources: { limits: { cpu: '1' } } },
      ],
    },
    status: { phase: 'Running', podIP: '10.0.0.1' },
  });
}

const pages = new Map<string, Buffer>();
const page = (from: number, limit: number): Buffer => {
  const key = `${from}/${limit}`;
  const known = pages.get(key);
  if (known !== undefined) return known;
  const to = Math.min(from + limit, count);
  const items = Array.from({ length: to - from }, (_, i) => pod(from + i));
  const metadata = { resourceVersion: '9999', ...(to < count ? { continue: String(to) } : {}) };
  const body = Buffer.from(`{"kind":"PodList","metadata":${JSON.stringify(metadata)},"items":[${items.join(',')}]}`);
  pages.set(key, body);
  return body;
};
for (let from = 0; from < count; from += 500) page(from, 500);

const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url ?? '/', 'http://server');
  response.writeHead(200, { 'content-type': 'application/json' });
  if (searchParams.has('watch')) response.flushHeaders();
  else response.end(page(Number(searchParams.get('continue') ?? 0), Number(searchParams.get('limit') ?? count)));
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
