import { DECISIONS_ANNOTATION, REQUEST_ID_ANNOTATION } from '@kuik/contracts';
import type { Decider } from '@kuik/rules';
import type { RecentDecisions, RememberedAdmission } from './recent-decisions.ts';

/** An answer to `GET /why`, as a value. */
export interface WhyAnswer {
  readonly status: 200 | 400 | 404;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface WhySources {
  readonly recent: RecentDecisions;
  readonly decider: Decider;
  /** Where the other replicas are. */
  readonly ownNamespace: string;
}

const USAGE = [
  '/why?namespace=NAMESPACE&pod=POD',
  '/why?request=ID (annotation kuik.enix.io/request-id of a pod)',
  '/why?namespace=NAMESPACE&image=IMAGE[&pullPolicy=POLICY] (no pod needed: what the rules say now)',
];
/** Names go into lines that people paste into a shell. */
const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;
const POLICIES = ['Always', 'IfNotPresent', 'Never'];

/**
 * Which rule decided what. Asked, in this order, for a request, an image or a pod. 400 for a question that cannot be read, 404 with where
 * else to look when this replica remembers nothing of it.
 */
export function answerWhy(query: Readonly<Record<string, unknown>>, sources: WhySources): WhyAnswer {
  const { namespace, pod, image, request, pullPolicy } = query;
  if (typeof request === 'string') {
    const admission = sources.recent.ofRequest(request);
    return admission === undefined ? notRemembered(sources) : { status: 200, body: { admissions: [shown(admission)] } };
  }
  if (typeof namespace !== 'string' || !NAME.test(namespace)) return notUnderstood('namespace must name a namespace');
  if (typeof image === 'string') {
    if (pullPolicy !== undefined && !POLICIES.includes(pullPolicy as string))
      return notUnderstood(`pullPolicy must be one of ${POLICIES.join(', ')}`);
    return { status: 200, body: ofImage(namespace, image, pullPolicy as string | undefined, sources.decider) };
  }
  if (typeof pod !== 'string' || !NAME.test(pod)) return notUnderstood('pod must name a pod');
  const admissions = sources.recent.ofPod(namespace, pod);
  if (admissions.length === 0) return notRemembered(sources, namespace, pod);
  const created = admissions.filter(({ nameless }) => nameless);
  return {
    status: 200,
    body: {
      namespace,
      pod,
      admissions: admissions.map(shown),
      ...(created.length > 1
        ? {
            note: `${created.length} pods were made of the name ${created[0]!.pod}; the id of this one's request tells which it is`,
            commands: [annotationOf(namespace, pod, REQUEST_ID_ANNOTATION)],
          }
        : {}),
    },
  };
}

function ofImage(
  namespace: string,
  image: string,
  pullPolicy: string | undefined,
  decider: Decider,
): Record<string, unknown> {
  const facts = { namespace, labels: undefined, annotations: undefined, priorityClassName: undefined };
  const [decision] = decider.decide(facts, [{ image, pullPolicy }]).images;
  const { image: got, ...rest } = decision!;
  return {
    namespace,
    asked: image,
    got,
    ...rest,
    of: 'a pod without labels, annotations, priority class and demands on its node',
    ...(decider.file.namespaceSelector === undefined
      ? {}
      : { note: 'labels of namespaces are looked at by the API server, and not here' }),
  };
}

function shown({ at, pod, nameless, images, left, ...admission }: RememberedAdmission): Record<string, unknown> {
  return {
    at: new Date(at).toISOString(),
    pod: nameless ? `${pod}*` : pod,
    ...admission,
    images,
    ...(left > 0 ? { imagesLeftOut: left } : {}),
  };
}

function notUnderstood(what: string): WhyAnswer {
  return { status: 400, body: { error: what, usage: USAGE } };
}

function notRemembered({ recent, ownNamespace }: WhySources, namespace?: string, pod?: string): WhyAnswer {
  const { admissions, since } = recent.extent;
  const lines =
    namespace === undefined || pod === undefined ? [] : [annotationOf(namespace, pod, DECISIONS_ANNOTATION)];
  return {
    status: 404,
    body: {
      error: `this replica remembers no such admission; it holds ${admissions}${since === undefined ? '' : `, the oldest of ${new Date(since).toISOString()}`}`,
      elsewhere: [
        'the annotation of the pod: none means that it was left alone, was not sent to us, or that we could not be reached',
        'another replica: each remembers what it has answered itself',
        'the log line "admission answered" with the namespace and name of the pod',
        'what the rules say now of an image of the pod: /why?namespace=NAMESPACE&image=IMAGE',
      ],
      commands: [...lines, `kubectl -n ${ownNamespace} get pods -l app.kubernetes.io/component=webhook`],
    },
  };
}

function annotationOf(namespace: string, pod: string, annotation: string): string {
  return `kubectl -n ${namespace} get pod ${pod} -o jsonpath='{.metadata.annotations.${annotation.replaceAll('.', '\\.')}}'`;
}
