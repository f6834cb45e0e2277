import { afterAll, beforeAll } from '@jest/globals';
import { startCacheRegistry, type CacheRegistry } from '@kuik/testbed';
import { createRegistryAccess } from './access.ts';
import { repositoryConformance } from './testing/repository-conformance.ts';

let registry: CacheRegistry;
const access = createRegistryAccess();

beforeAll(async () => {
  registry = await startCacheRegistry();
});
afterAll(async () => {
  await access.close();
  await registry.stop();
});

repositoryConformance('Distribution behind our client', (repository) =>
  access.cache(
    {
      url: registry.writerUrl,
      signer: {
        issuer: registry.writerKey.issuer,
        audience: registry.writerKey.audience,
        keyPem: registry.writerKey.privateKey,
        certificatePem: registry.writerKey.certificate,
        actions: ['pull', 'push', 'delete'],
      },
    },
    repository,
  ),
);
