import type { Admission } from './admit.ts';

const HEAD = '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":';

/** The AdmissionReview that answers: always allowed, with the patch when there is one. */
export function renderAnswer(admission: Pick<Admission, 'uid' | 'patch'>): string {
  const uid = JSON.stringify(admission.uid);
  if (admission.patch.length === 0) return `${HEAD}${uid},"allowed":true}}`;
  const patch = Buffer.from(JSON.stringify(admission.patch)).toString('base64');
  return `${HEAD}${uid},"allowed":true,"patchType":"JSONPatch","patch":"${patch}"}}`;
}

/** A pod that could not be looked at is let through as it is. */
export function renderLetThrough(uid: string): string {
  return renderAnswer({ uid, patch: [] });
}

/** A Kubernetes Status, for whoever sent something else than an AdmissionReview. */
export function renderRefusal(status: number, message: string): string {
  return `${JSON.stringify({ apiVersion: 'v1', kind: 'Status', status: 'Failure', code: status, message })}\n`;
}
