import { describe, expect, it } from '@jest/globals';
import { createLogger, createMetrics, systemClock } from '@kuik/runtime';
import { admit } from './admit.ts';
import { deciderOf } from './fixtures.ts';
import { createReport } from './report-admission.ts';
import { readReview } from './review.ts';

interface Reviewed {
  readonly metadata?: object;
  readonly container?: object;
}

/** What one admission of a pod logs, and what it counts. */
function reportOf({ metadata = {}, container = {} }: Reviewed, isSpared?: (uid: string) => boolean) {
  const lines: string[] = [];
  const log = createLogger({ service: 'webhook', write: (line) => void lines.push(line) });
  const review = {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: 'u1',
      operation: 'CREATE',
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'default',
      object: {
        metadata: { name: 'web', ...metadata },
        spec: { containers: [{ name: 'app', image: 'nginx:1.27', ...container }] },
      },
    },
  };
  const admission = admit(readReview(Buffer.from(JSON.stringify(review))), deciderOf(), isSpared);
  const metrics = createMetrics({ service: 'webhook', defaults: false });
  createReport({
    bus: { publish: () => undefined },
    log,
    metrics,
    remember: () => undefined,
    clock: systemClock,
  }).answered(admission, 1);
  return { line: lines.join('\n'), counts: () => metrics.render() };
}
const lineOf = (image: string): string => reportOf({ container: { image } }).line;

describe('the line of an admission', () => {
  it('names each image with its reason and rule', () => {
    expect(lineOf('nginx:1.27')).toContain('"images":"c:app docker.io/library/nginx:1.27 Rewritten default"');
    expect(lineOf('invalid:image:8080')).toContain('"images":"c:app invalid:image:8080 NotAReference');
  });

  it.each([
    ['pod', { metadata: { name: 'x'.repeat(1_000_000) } }],
    ['container', { container: { name: 'x'.repeat(1_000_000) } }],
  ])('a name of 1 MB of a %s does not fill the log', (_, reviewed) => {
    expect(reportOf(reviewed).line.length).toBeLessThan(2_000);
  });

  it.each(['a', '-', '://', 'eyJaaaaa-'])(
    'an image of 2 MB (%s...) neither fills the log nor holds up the next pod',
    (unit) => {
      const started = performance.now();
      const line = lineOf(unit.repeat(2_000_000 / unit.length));
      expect(performance.now() - started).toBeLessThan(1_500);
      expect(line).toContain('NotAReference');
      expect(line.length).toBeLessThan(2_000);
    },
  );
});

describe('the figures of an admission', () => {
  it('are its images by the rule that decided, and its time', async () => {
    const shown = await reportOf({}).counts();
    expect(shown).toContain('kuik_webhook_images_total{verdict="rewrite",reason="Rewritten",rule="default"} 1');
    // It took 1 ms.
    expect(shown).toContain('kuik_webhook_admission_seconds_bucket{le="0.0005"} 0');
    expect(shown).toContain('kuik_webhook_admission_seconds_bucket{le="0.001"} 1');
    expect(shown).toContain('kuik_webhook_admission_seconds_count 1');
  });
});

describe('the count of images', () => {
  it('names no owner: they come and go, and a series stays', async () => {
    const { counts } = reportOf({ metadata: { ownerReferences: [{ uid: 'u-1' }] } }, (uid) => uid === 'u-1');
    expect(await counts()).toContain('images_total{verdict="observe",reason="OwnerSpared",rule="sparedOwners"} 1');
  });
});
