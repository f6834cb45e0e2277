import type { Admission } from './admit.ts';
import { renderAnswer } from './answer.ts';
import { readReview, type AdmissionRequest } from './review.ts';

/** Enough for the engine to have compiled what is on the path of an answer. */
const TIMES = 200;

const REVIEW = JSON.stringify({
  kind: 'AdmissionReview',
  apiVersion: 'admission.k8s.io/v1',
  request: {
    uid: 'warm-up',
    operation: 'CREATE',
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'default',
    object: {
      metadata: { name: 'warm-up' },
      spec: { containers: [{ name: 'a', image: 'warm-up.invalid/a:1' }], initContainers: [{ name: 'b', image: 'b' }] },
    },
  },
});

/** Decides a made-up review many times before the first real one comes: a pod should not pay for our start. */
export function warmUp(admit: (request: AdmissionRequest) => Admission): void {
  const body = Buffer.from(REVIEW);
  for (let time = 0; time < TIMES; time++) renderAnswer(admit(readReview(body)));
}
