import { describe, expect, it } from '@jest/globals';
import { createLogger, createMetrics, systemClock } from '@kuik/runtime';
import { admit } from './admit.ts';
import { deciderOf } from './fixtures.ts';
import { createReport } from './report-admission.ts';
import { readReview } from './review.ts';

/** What one admission of a pod with this image logs. */
function lineOf(image: string): string {
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
      object: { metadata: { name: 'web' }, spec: { containers: [{ name: 'app', image }] } },
    },
  };
  const admission = admit(readReview(Buffer.from(JSON.stringify(review))), deciderOf());
  const metrics = createMetrics({ service: 'webhook', defaults: false });
  createReport({
    bus: { publish: () => undefined },
    log,
    metrics,
    remember: () => undefined,
    clock: systemClock,
  }).answered(admission, 1);
  return lines.join('\n');
}

describe('the line of an admission', () => {
  it('names each image with its reason and rule', () => {
    expect(lineOf('nginx:1.27')).toContain('"images":"c:app docker.io/library/nginx:1.27 Rewritten default"');
    expect(lineOf('invalid:image:8080')).toContain('"images":"c:app invalid:image:8080 NotAReference');
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
