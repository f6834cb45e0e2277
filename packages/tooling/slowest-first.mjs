import path from 'node:path';
import Sequencer from '@jest/test-sequencer';
import { SLOW_FILES } from './src/slow-files.ts';

/** A file that takes long and begins late leaves every other core idle: what is known to take long begins first, the rest in jest's own order. */
export default class SlowestFirst extends Sequencer {
  sort(tests) {
    const place = ({ path: file, context }) => {
      const at = SLOW_FILES.indexOf(path.relative(context.config.rootDir, file));
      return at === -1 ? SLOW_FILES.length : at;
    };
    return super.sort(tests).sort((one, other) => place(one) - place(other));
  }
}
