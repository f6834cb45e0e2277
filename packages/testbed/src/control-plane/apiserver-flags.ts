/** Files and addresses that kube-apiserver is started with. */
export interface ApiserverSettings {
  readonly port: number;
  readonly etcdUrl: string;
  readonly certDir: string;
  readonly caFile: string;
  readonly servingCertificate: string;
  readonly servingKey: string;
  readonly adminCertificate: string;
  readonly adminKey: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  readonly audit?: { readonly logFile: string; readonly policyFile: string };
}

/** The issuer of ServiceAccount tokens, which is also their default audience. */
export const TOKEN_ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** Where Services get their addresses from; the first is the API server's own. Nothing is there but for what a node's pods are led to. */
export const SERVICE_SUBNET = '10.79.0.0/24';
export const API_SERVICE_ADDRESS = '10.79.0.1';

/** RBAC, bound ServiceAccount tokens, admission as by default; nobody is anonymous; as short a start and stop as it gives. */
export function apiserverFlags(settings: ApiserverSettings): string[] {
  const { audit } = settings;
  return [
    ...(audit === undefined ? [] : [`--audit-log-path=${audit.logFile}`, `--audit-policy-file=${audit.policyFile}`]),
    `--secure-port=${settings.port}`,
    '--bind-address=127.0.0.1',
    // No endpoints are made for the Service `kubernetes`: loopback is refused there.
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--etcd-servers=${settings.etcdUrl}`,
    `--service-cluster-ip-range=${SERVICE_SUBNET}`,
    `--cert-dir=${settings.certDir}`,
    `--tls-cert-file=${settings.servingCertificate}`,
    `--tls-private-key-file=${settings.servingKey}`,
    `--client-ca-file=${settings.caFile}`,
    `--service-account-issuer=${TOKEN_ISSUER}`,
    `--service-account-signing-key-file=${settings.serviceAccountKey}`,
    `--service-account-key-file=${settings.serviceAccountPublicKey}`,
    '--authorization-mode=RBAC',
    // For logs and exec, where there is a node.
    `--kubelet-certificate-authority=${settings.caFile}`,
    `--kubelet-client-certificate=${settings.adminCertificate}`,
    `--kubelet-client-key=${settings.adminKey}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--anonymous-auth=false',
    '--allow-privileged=true',
    '--enable-priority-and-fairness=false',
    '--shutdown-delay-duration=0s',
    '--shutdown-watch-termination-grace-period=0s',
    '--profiling=false',
    '--v=1',
  ];
}
