import { describe, expect, it } from '@jest/globals';
import { kubeconfigText } from '../testing/scripted-server.ts';
import { temporaryFolder } from '../testing/temporary-folder.ts';
import { accessOf } from './access-of.ts';
import { inClusterAccess } from './in-cluster.ts';
import { kubeconfigAccess } from './kubeconfig-access.ts';
import { parseKubeconfig } from './kubeconfig.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const parse = (user: object, cluster: object = {}, server = 'https://k:6443') =>
  parseKubeconfig(kubeconfigText(server, user, cluster), '/etc/kuik/config');
const headers = (user: object, server?: string) => kubeconfigAccess(parse(user, {}, server), 10).headers();

describe('parseKubeconfig', () => {
  it('reads a context of YAML, the current one or another', () => {
    const text = `
apiVersion: v1
kind: Config
current-context: prod
contexts:
  - { name: prod, context: { cluster: big, user: me } }
  - { name: dev, context: { cluster: small } }
clusters:
  - { name: big, cluster: { server: "https://big:6443/", tls-server-name: kubernetes } }
  - name: small
    cluster:
      server: https://small/k8s/clusters/c-1
      insecure-skip-tls-verify: true
users:
  - { name: me, user: { token: t } }
`;
    expect(parseKubeconfig(text, 'f')).toMatchObject({
      context: 'prod',
      server: 'https://big:6443',
      servername: 'kubernetes',
      insecure: false,
      token: 't',
    });
    expect(parseKubeconfig(text, 'f', 'dev')).toMatchObject({
      server: 'https://small/k8s/clusters/c-1',
      insecure: true,
      plugin: false,
    });
  });

  it('takes material inline, and files relative to its own folder', () => {
    const cluster = { 'certificate-authority': 'ca.crt' };
    const user = { 'client-certificate-data': base64('CERT'), 'client-key': '/abs/key', tokenFile: '../token' };
    expect(parse(user, cluster)).toMatchObject({
      ca: { file: '/etc/kuik/ca.crt' },
      cert: { data: 'CERT' },
      key: { file: '/abs/key' },
      tokenFile: '/etc/token',
    });
  });

  it.each([
    ['{', undefined, /^cannot use kubeconfig f: not YAML: /],
    ['{}', undefined, /: current-context is missing: set it, or name a context$/],
    ['{}', 'prod', /: contexts has no entry named "prod"$/],
    ['{contexts: [{name: c, context: {}}]}', 'c', /: context "c" names no cluster$/],
    ['{contexts: [{name: c, context: {cluster: k}}]}', 'c', /: clusters has no entry named "k"$/],
    [
      '{contexts: [{name: c, context: {cluster: k}}], clusters: [{name: k, cluster: {}}]}',
      'c',
      /: server of cluster "k" is not a URL$/,
    ],
    [
      '{contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k, cluster: {server: "https://k"}}]}',
      'c',
      /: users has no entry named "u"$/,
    ],
    [
      '{contexts: [{name: c, context: {cluster: k}}], clusters: [{name: k, cluster: {server: "https://k", proxy-url: "http://p"}}]}',
      'c',
      /: proxy-url of cluster "k" is not supported/,
    ],
  ])('refuses %s', (text, context, expected) => {
    expect(() => parseKubeconfig(text, 'f', context)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringMatching(expected) as unknown }),
    );
  });

  it('names the file that is not there', () => {
    expect(() => accessOf({ kubeconfig: '/no/such/file' })).toThrow(
      'cannot read kubeconfig /no/such/file: ENOENT; check the path',
    );
  });
});

describe('access by kubeconfig', () => {
  it.each([
    [{ token: 't' }, { authorization: 'Bearer t' }],
    [{ username: 'me', password: 'pw' }, { authorization: `Basic ${base64('me:pw')}` }],
    [{ 'client-certificate-data': base64('C') }, {}],
    [
      { token: 't', as: 'system:admin', 'as-groups': ['a', 'b'] },
      { authorization: 'Bearer t', 'impersonate-user': 'system:admin', 'impersonate-group': ['a', 'b'] },
    ],
  ])('sends for %j', async (user, expected) => {
    expect(await headers(user)).toEqual(expected);
  });

  it('reads a token file again after its time, and at once when told to forget', async () => {
    await using folder = await temporaryFolder();
    const tokenFile = await folder.write('token', 'one\n');
    const patient = kubeconfigAccess(parse({ tokenFile }), 60_000);
    const eager = kubeconfigAccess(parse({ tokenFile }), 0);
    const both = async () => [(await patient.headers())['authorization'], (await eager.headers())['authorization']];
    expect(await both()).toEqual(['Bearer one', 'Bearer one']);
    await folder.write('token', 'two\n');
    expect(await both()).toEqual(['Bearer one', 'Bearer two']);
    patient.forget();
    expect(await both()).toEqual(['Bearer two', 'Bearer two']);
  });

  it('reads certificate files anew for each connection', async () => {
    await using folder = await temporaryFolder();
    const file = await folder.write('ca.crt', 'ONE');
    const access = kubeconfigAccess(parse({}, { 'certificate-authority': file }), 60_000);
    const ca = async () => String((await access.tls()).ca);
    expect(await ca()).toBe('ONE');
    await folder.write('ca.crt', 'TWO');
    expect(await ca()).toBe('TWO');
  });

  it.each([
    [{}, 'https://kubernetes.default.svc'],
    [{ KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }, 'https://10.0.0.1'],
    [{ KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }, 'https://10.0.0.1:6443'],
    [{ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, 'https://[fd00::1]'],
    [{ KUBERNETES_SERVICE_HOST: '', KUBERNETES_SERVICE_PORT: '' }, 'https://kubernetes.default.svc'],
  ])('asks the API server where kubelet says it is: %j', (env, server) => {
    expect(inClusterAccess({}, 60_000, env).server).toBe(server);
  });

  it('says which file of a pod is missing', async () => {
    const access = accessOf({ inCluster: { tokenFile: '/no/token', caFile: '/no/ca.crt' } });
    await expect(access.headers()).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringMatching(/^cannot read the token: \/no\/token: ENOENT; in a pod/) as unknown,
    });
    await expect(access.tls()).rejects.toThrow('cannot read the cluster CA: /no/ca.crt');
  });

  it.each([
    ['http://127.0.0.1:8001', true],
    ['http://localhost:8001', true],
    ['http://[::1]:8001', true],
    ['http://127.0.0.1.evil.test', false],
    ['http://kubernetes', false],
    ['https://kubernetes', true],
  ])('sends a secret to %s: %s', (server, allowed) => {
    const use = () => kubeconfigAccess(parse({ token: 't' }, {}, server), 10);
    if (allowed) expect(use).not.toThrow();
    else expect(use).toThrow("would be sent the user's credential unencrypted; use https");
    expect(() => kubeconfigAccess(parse({}, {}, server), 10)).not.toThrow();
  });
});
