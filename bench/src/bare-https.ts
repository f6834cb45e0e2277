// The peer of the webhook's benchmark: reads the body, parses nothing, answers `allowed: true`. A child process of webhook.ts.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [keyFile = '', certificateFile = '', port = ''] = process.argv.slice(2);
const answer = '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"x","allowed":true}}';

createServer({ key: readFileSync(keyFile), cert: readFileSync(certificateFile) }, (request, response) => {
  request.on('data', () => undefined);
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
    response.end(answer);
  });
}).listen(Number(port), '127.0.0.1');
