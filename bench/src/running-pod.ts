import { ORIGINAL_IMAGES_ANNOTATION } from '@kuik/contracts';
import { formatReference, parseReference, toProxyImage } from '@kuik/image';

/**
 * What a Deployment's pod of two containers looks like once kubelet runs it: about as large as the pods of a real cluster. Without a prefix its
 * images are as written: so are those of a template.
 */
export function runningPod(name: string, references: readonly [string, string], prefix: string | undefined) {
  const images = references.map((reference) => parseReference(reference));
  const rewritten = images.map((image) =>
    prefix === undefined ? formatReference(image) : toProxyImage(image, prefix)!,
  );
  const names = ['app', 'sidecar'];
  const container = (index: number) => ({
    name: names[index]!,
    image: rewritten[index]!,
    ports: [{ containerPort: 8080 + index }],
    env: [
      { name: 'LOG_LEVEL', value: 'info' },
      { name: 'POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
      { name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
    ],
    resources: { limits: { cpu: '1', memory: '512Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
    volumeMounts: [{ name: 'config', mountPath: '/etc/app' }],
    livenessProbe: { httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' }, timeoutSeconds: 1, periodSeconds: 10 },
    imagePullPolicy: 'IfNotPresent',
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, runAsNonRoot: true },
  });
  const at = new Date().toISOString().replace(/\.\d+/, '');
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      labels: { app: 'shop', 'pod-template-hash': '6d4cf56db6' },
      annotations: {
        'prometheus.io/scrape': 'true',
        [ORIGINAL_IMAGES_ANNOTATION]: JSON.stringify(
          Object.fromEntries(images.map((image, index) => [`c:${names[index]!}`, formatReference(image)])),
        ),
      },
    },
    spec: {
      // The scheduler's and kubelet's work, done at once.
      nodeName: 'node-1',
      volumes: [{ name: 'config', configMap: { name: 'shop', defaultMode: 420 } }],
      containers: [container(0), container(1)],
      terminationGracePeriodSeconds: 30,
      imagePullSecrets: [{ name: 'regcred' }],
    },
  };
  const status = {
    phase: 'Running',
    podIP: '10.1.2.3',
    hostIP: '10.0.0.1',
    startTime: at,
    conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(
      (type) => ({
        type,
        status: 'True',
        lastTransitionTime: at,
      }),
    ),
    containerStatuses: names.map((each, index) => ({
      name: each,
      image: rewritten[index]!,
      imageID: `${rewritten[index]!}@sha256:${'ab'.repeat(32)}`,
      containerID: `containerd://${'cd'.repeat(32)}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: at } },
    })),
  };
  return { object, status };
}
