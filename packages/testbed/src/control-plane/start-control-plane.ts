import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createAuthority, issueCertificate, type KeyAndCertificate } from '@kuik/runtime';
import { requirePart } from '../parts/find.ts';
import type { CertificateRequest, OwnControlPlane, PartProcess } from '../port.ts';
import { dataFolder } from '../process/folders.ts';
import { freePort } from '../process/free-port.ts';
import { startPart, withFreshPorts, type Part } from '../process/part-process.ts';
import { until } from '../process/until.ts';
import { TestApiClient } from './api-client.ts';
import { API_SERVICE_ADDRESS, apiserverFlags } from './apiserver-flags.ts';
import { Cluster, type ClusterConnection, type ClusterEnds } from './cluster.ts';
import { startEtcd } from './etcd.ts';
import { kubeconfig } from './kubeconfig.ts';
import { EtcdSnapshot } from './etcd-snapshot.ts';

/** Longer than any run, shorter than anybody would keep what a run left. */
const DAYS = 7;

export interface ControlPlaneOptions {
  /** The processes are named `<name>-etcd` and `<name>-apiserver`; default: without the prefix. */
  readonly name?: string;
  /** Where kube-apiserver tells who asked what, one JSON event a line, and the policy that says how much. Default: nowhere. */
  readonly audit?: { readonly logFile: string; readonly policyFile: string };
}

/** Starts etcd and kube-apiserver; ready when the default namespace, its ServiceAccount and `node-1` exist. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<OwnControlPlane> {
  const plane = await startConnected(options);
  return plane.cluster;
}

/** The same, with what another process needs to connect to it. */
export async function startConnected(
  options: ControlPlaneOptions,
): Promise<{ cluster: OwnControlPlane; connection: ClusterConnection }> {
  const prefix = options.name ? `${options.name}-` : '';
  const etcd = await startEtcd(`${prefix}etcd`);
  try {
    const { apiserver, authority, connection } = await startApiserver(`${prefix}apiserver`, etcd.port, options);
    const snapshot = new EtcdSnapshot(`http://127.0.0.1:${etcd.port}`);
    const cluster = new OwnCluster(connection, authority, etcd, apiserver, {
      wipe: () => snapshot.restore(),
      stop: async () => {
        // Nothing of it is kept: an orderly end would only take its seconds.
        await Promise.all([apiserver.kill(), etcd.kill()]);
        await apiserver.stop();
        await etcd.stop();
      },
    });
    try {
      await furnish(cluster);
      await snapshot.take();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return { cluster, connection };
  } catch (error) {
    await etcd.stop();
    throw error;
  }
}

class OwnCluster extends Cluster implements OwnControlPlane {
  readonly etcd: PartProcess;
  readonly apiserver: PartProcess;
  readonly #authority: KeyAndCertificate;

  constructor(
    connection: ClusterConnection,
    authority: KeyAndCertificate,
    etcd: PartProcess,
    apiserver: PartProcess,
    ends: ClusterEnds,
  ) {
    super(connection, ends);
    this.etcd = etcd;
    this.apiserver = apiserver;
    this.#authority = authority;
  }

  issue(request: CertificateRequest): KeyAndCertificate {
    return issueCertificate(this.#authority, { ...request, days: DAYS, now: new Date() });
  }
}

/** What the controllers of a whole cluster would have made. */
async function furnish(cluster: Cluster): Promise<void> {
  await until(() => cluster.api.find('/api/v1/namespaces/default'), { what: 'namespace default' });
  await cluster.serviceAccount('default', 'default');
  await cluster.node('node-1');
}

async function startApiserver(
  name: string,
  etcdPort: number,
  { audit }: ControlPlaneOptions,
): Promise<{ apiserver: Part; authority: KeyAndCertificate; connection: ClusterConnection }> {
  const command = await requirePart('kube-apiserver');
  const folder = dataFolder(name);
  const write = (file: string, text: string): string => {
    writeFileSync(path.join(folder, file), text, { mode: 0o600 });
    return path.join(folder, file);
  };
  const now = new Date();
  const authority = createAuthority({ commonName: 'testbed', days: DAYS, now });
  const hosts = ['localhost', 'kubernetes', 'kubernetes.default.svc', '127.0.0.1', '::1', API_SERVICE_ADDRESS];
  const serving = issueCertificate(authority, { commonName: name, days: DAYS, now, hosts, usages: ['server'] });
  const admin = issueCertificate(authority, {
    commonName: 'testbed-admin',
    organizations: ['system:masters'],
    days: DAYS,
    now,
    usages: ['client'],
  });
  const tokens = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = {
    certDir: folder,
    caFile: write('ca.pem', authority.certificate),
    servingCertificate: write('serving.pem', serving.certificate),
    servingKey: write('serving-key.pem', serving.privateKey),
    adminCertificate: write('admin.pem', admin.certificate),
    adminKey: write('admin-key.pem', admin.privateKey),
    serviceAccountKey: write('tokens-key.pem', tokens.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    serviceAccountPublicKey: write('tokens.pem', tokens.publicKey.export({ type: 'spki', format: 'pem' }).toString()),
  };
  return withFreshPorts(async () => {
    const port = await freePort();
    const url = `https://127.0.0.1:${port}`;
    const credentials = { certificatePem: admin.certificate, privateKeyPem: admin.privateKey };
    const endpoint = { url, caPem: authority.certificate, ...credentials };
    const apiserver = await startPart({
      name,
      command,
      args: apiserverFlags({
        port,
        etcdUrl: `http://127.0.0.1:${etcdPort}`,
        ...files,
        ...(audit === undefined ? {} : { audit }),
      }),
      port,
      folders: [folder],
      readyTimeoutMs: 60_000,
      stopTimeoutMs: 2_000,
      check: async () => {
        const client = new TestApiClient(endpoint);
        try {
          await client.get('/readyz');
        } finally {
          await client.close();
        }
      },
    });
    const file = write('kubeconfig', kubeconfig(url, authority.certificate, credentials));
    return { apiserver, authority, connection: { ...endpoint, kubeconfig: file } };
  });
}
