import { grantSigningKey } from '@kuik/contracts';
import { readSettingFile } from '@kuik/registry';
import type { Part } from '@kuik/runtime';
import type { PodWatcherConfig } from './config.ts';
import { PullGrantWriter, type PullGrantWriterParts } from './pull-grant-writer.ts';
import type { MetricReports } from './report-metrics.ts';

type Given = Pick<PullGrantWriterParts, 'kube' | 'bus' | 'leadership' | 'view' | 'now' | 'log'> & {
  readonly reports: Pick<MetricReports, 'pullGrant' | 'loopFailed'>;
};

/** The writer of pull secrets, unless private images are not looked after or there is no key. Throws when the key cannot be read. */
export function pullGrantParts(
  { privateImages, proxyPrefixes }: PodWatcherConfig,
  { reports, ...given }: Given,
): Part[] {
  const { mode, keyFile, grantFor } = privateImages;
  if (mode === 'off' || keyFile === undefined) return [];
  return [
    new PullGrantWriter({
      ...given,
      signer: grantSigningKey(readSettingFile('privateImages.keyFile', keyFile)),
      proxyPrefixes,
      grantForMs: grantFor,
      backoff: { firstMs: 500, maxMs: 60_000 },
      count: reports.pullGrant,
      onFailure: reports.loopFailed,
    }),
  ];
}
