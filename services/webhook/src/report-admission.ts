import { IMAGE_USED, METRICS } from '@kuik/contracts';
import type { Bus } from '@kuik/bus';
import type { Clock, Logger, Metrics } from '@kuik/runtime';
import type { Admission } from './admit.ts';

export interface ReportOptions {
  readonly bus: Pick<Bus, 'publish'>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told of every admission, with its time (epoch ms). */
  readonly remember: (admission: Admission, now: number) => void;
  readonly clock: Pick<Clock, 'now'>;
}

/** What happens after an answer has gone: the hint, the figures, one line. Nothing of it can touch the answer any more. */
export interface AdmissionReport {
  readonly answered: (admission: Admission, ms: number) => void;
  readonly failed: (uid: string, error: unknown) => void;
  readonly refused: (status: number, message: string) => void;
}

/** Reports to NATS, metrics and log. */
export function createReport({ bus, log, metrics, remember, clock }: ReportOptions): AdmissionReport {
  const admissions = metrics.counter(METRICS.admissions);
  const images = metrics.counter(METRICS.admissionImages);
  const seconds = metrics.histogram(METRICS.admissionSeconds);
  const publishHint = ({ hint, namespace, pod }: Admission): void => {
    if (hint === undefined) return;
    try {
      bus.publish(IMAGE_USED, hint);
    } catch (error) {
      // Only a hint: pod-watcher's list has the pod.
      log.warn('image.used hint not sent', { namespace, pod, error });
    }
  };
  return {
    answered(admission, ms) {
      publishHint(admission);
      const result = admission.patch.length > 0 ? 'patched' : 'unchanged';
      admissions.inc({ operation: admission.operation, result });
      seconds.observe(ms / 1000);
      for (const { verdict, reason, rule } of admission.images) images.inc({ verdict, reason, rule: counted(rule) });
      remember(admission, clock.now());
      log.info('admission answered', {
        namespace: admission.namespace,
        pod: shown(admission.pod),
        requestId: admission.uid,
        operation: admission.operation,
        ...(admission.dryRun ? { dryRun: true } : {}),
        images: admission.images
          .map(
            ({ key, original, reference, reason, rule }) =>
              `${shown(key)} ${shown(reference ?? original)} ${reason} ${rule}`,
          )
          .join(', '),
        ms: Math.round(ms * 1000) / 1000,
      });
    },
    failed(uid, error) {
      admissions.inc({ operation: 'unknown', result: 'failed-open' });
      log.error('admission failed, pod let through unchanged', { requestId: uid, error });
    },
    refused(status, message) {
      admissions.inc({ operation: 'unknown', result: `refused-${status}` });
      log.warn('request refused', { status, reason: message });
    },
  };
}

/** No legal name or reference is longer; anything else may be as long as a request: nobody has looked at the pod before us. */
const SHOWN = 512;

function shown(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
}

/** Owners come and go, a label of a metric stays: they are counted together. */
function counted(rule: string): string {
  return rule.startsWith(SPARED) ? 'sparedOwners' : rule;
}
const SPARED = 'sparedOwners.';
