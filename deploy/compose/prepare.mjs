// Run once by docker-compose.yaml, as root: gives the volumes to our user and makes the API server's users. What exists is kept.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const OURS = 65532;
const root = process.argv[2] ?? '/volumes';
const cluster = `${root}/cluster`;

for (const volume of ['keys', 'nats', 'redis', 'cache']) {
  mkdirSync(`${root}/${volume}`, { recursive: true });
  if (process.getuid() === 0) chownSync(`${root}/${volume}`, OURS, OURS);
}
mkdirSync(`${cluster}/certificates`, { recursive: true });
if (!existsSync(`${cluster}/apiserver/tokens.csv`)) {
  const account = ({ service, namespace }) => ({
    folder: service,
    user: `system:serviceaccount:${namespace}:kuik-${service}`,
    groups: `system:serviceaccounts,system:serviceaccounts:${namespace},system:authenticated`,
  });
  const users = [
    { folder: 'admin', user: 'admin', groups: 'system:masters' },
    ...JSON.parse(readFileSync(new URL('accounts.json', import.meta.url), 'utf8')).map(account),
  ];
  const lines = users.map(({ folder, user, groups }) => {
    const token = randomBytes(32).toString('base64url');
    mkdirSync(`${cluster}/${folder}`, { recursive: true });
    writeFileSync(`${cluster}/${folder}/token`, token);
    const certificate = folder === 'admin' ? '/cluster/certificates/apiserver.crt' : '/etc/kuik/api/apiserver.crt';
    writeFileSync(`${cluster}/${folder}/kubeconfig`, kubeconfig(token, certificate));
    return `${token},${user},${user},"${groups}"`;
  });
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  mkdirSync(`${cluster}/apiserver`, { recursive: true });
  writeFileSync(`${cluster}/apiserver/service-accounts.key`, privateKey, { mode: 0o600 });
  writeFileSync(`${cluster}/apiserver/tokens.csv`, `${lines.join('\n')}\n`, { mode: 0o600 });
}

function kubeconfig(token, certificate) {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'kuik', cluster: { server: 'https://kubernetes:6443', 'certificate-authority': certificate } }],
    users: [{ name: 'kuik', user: { token } }],
    contexts: [{ name: 'kuik', context: { cluster: 'kuik', user: 'kuik' } }],
    'current-context': 'kuik',
  });
}
