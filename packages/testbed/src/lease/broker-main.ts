import { LeaseBroker } from './broker.ts';

// Started by the integration suite's global setup: argument 1 is the socket, standard input ends with the suite.
const [socketPath = '', most = '1'] = process.argv.slice(2);
const broker = new LeaseBroker(Number(most));
await broker.listen(socketPath);
process.stdout.write('listening\n');
for await (const _chunk of process.stdin) {
  // Nothing is ever sent: only its end counts.
}
await broker.close();
process.exit(0);
