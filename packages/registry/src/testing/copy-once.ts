/** One copy in a process of its own, so that its memory can be told: prints JSON. Argument: the job as JSON. */
import { readFileSync } from 'node:fs';
import { copyImage, createRegistryAccess, NO_CREDENTIALS, type CacheEndpoint } from '../index.ts';

const job = JSON.parse(process.argv[2]!) as { source: { host: string; repository: string }; cache: CacheEndpoint };
const access = createRegistryAccess({ registries: { [job.source.host]: { plainHTTP: true, allowPrivate: true } } });
const { digest, bytesCopied } = await copyImage({
  source: access.upstream(job.source.host, job.source.repository, NO_CREDENTIALS),
  reference: 'v1',
  target: access.cache(job.cache, `copied/${job.source.repository}`),
  targetTag: 'v1',
});
const { user, system } = process.cpuUsage();
const peakRss = peakBytes();
console.log(JSON.stringify({ digest, bytesCopied, peakRss, cpuSeconds: (user + system) / 1e6 }));
await access.close();

/** Largest resident set. Linux lets `maxRSS` of a process begin with that of its parent, a jest worker of any size: `VmHWM` does not. */
function peakBytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}
