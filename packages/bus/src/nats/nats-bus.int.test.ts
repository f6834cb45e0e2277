import { deadLetterStream, IMAGE_SERVED, nkeyAnswer } from '@kuik/contracts';
import { startNats } from '@kuik/testbed';
import { connect } from 'nats';
import { busConformance } from '../bus.conformance.ts';
import { eventually } from '../conformance/room.ts';
import type { Bed } from '../conformance/room.ts';
import { connectBus } from './nats-bus.ts';
import { seedFiles } from './seed-files.fixture.ts';

async function bed(): Promise<Bed> {
  const server = await startNats();
  const seeds = seedFiles(server);
  const looking = await connect({
    servers: server.url,
    authenticator: (nonce) => nkeyAnswer(server.testSeed, nonce),
  });
  return {
    async connect(count) {
      const bus = connectBus({ url: server.url, service: 'test', seedFile: seeds.of('test'), count });
      await eventually(() => bus.status() === 'connected' || undefined);
      return bus;
    },
    async inject(subject, bytes) {
      looking.publish(subject, Buffer.from(bytes, 'latin1'));
      await looking.flush();
    },
    loseData: () => server.purge(),
    async deadLetters() {
      const { streams } = await looking.jetstreamManager();
      const name = deadLetterStream(IMAGE_SERVED);
      const { state } = await streams.info(name);
      const letters = [];
      for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq++) {
        const message = await streams.getMessage(name, { seq });
        letters.push({ payload: message.json(), reason: message.header.get('Kuik-Reason') });
      }
      return letters;
    },
    async stop() {
      await looking.close();
      await server.stop();
      seeds.remove();
    },
  };
}

busConformance('NATS', bed);
