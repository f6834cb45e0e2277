// Ends when the API server of docker-compose.yaml is ready, and with 1 when it is not within two minutes.
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { setTimeout } from 'node:timers/promises';

const [folder = '/cluster', server = 'https://kubernetes:6443', servername = 'kubernetes'] = process.argv.slice(2);
const deadline = Date.now() + 120_000;

function ready() {
  return new Promise((resolve, reject) => {
    const ca = readFileSync(`${folder}/certificates/apiserver.crt`);
    const authorization = `Bearer ${readFileSync(`${folder}/admin/token`, 'utf8')}`;
    const request = get(
      `${server}/readyz`,
      { ca, servername, headers: { authorization }, timeout: 5_000 },
      (answer) => {
        answer.resume();
        if (answer.statusCode === 200) resolve();
        else reject(new Error(`/readyz answered ${answer.statusCode}`));
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer in 5 s')));
    request.on('error', reject);
  });
}

for (;;) {
  try {
    await ready();
    break;
  } catch (error) {
    if (Date.now() > deadline) {
      console.error(`the API server is not ready: ${error.message}`);
      process.exit(1);
    }
    await setTimeout(500);
  }
}
