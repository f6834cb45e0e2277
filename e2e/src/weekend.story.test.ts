import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { until } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { seeded } from './faults/seeded.ts';
import { pullWithSkopeo } from './stack/skopeo.ts';
import { READ_FAULTS } from './weekend/api-gate.ts';
import { HOLDERS, KEPT } from './weekend/holders.ts';
import { DAY_MS, imageOf, Weekend } from './weekend/weekend.ts';

const RESTARTS = sized({ usual: 4, full: 30 });
const DAYS = 120;
const TIMEOUT_MS = sized({ usual: 120_000, full: 400_000 });
const SEED = Number(process.env['KUIK_SEED'] ?? Date.now() % 1_000_000);
/** Longer than an image that nobody is seen to use lasts: unused for 30 days, condemned, out of its grace, and looked at. */
const BLIND_MS = 1_300;

let weekend: Weekend;
beforeAll(async () => {
  weekend = await Weekend.start();
}, 60_000);
afterAll(() => weekend?.stop());

it(
  'an upgrade of thirty restarts with watches late, failing, refused and partial, and 120 days: what is held still serves, what is not is gone',
  async () => {
    console.log(
      `${RESTARTS} of 30 restarts; a day is ${DAY_MS.toFixed(0)} ms; seed ${SEED} (KUIK_SEED=${SEED} repeats it)`,
    );
    await weekend.hold([...KEPT, 'leaving']);
    const before = await weekend.images();
    // Dates of persons that are past: used images stay.
    await weekend.expireAt('running', new Date(Date.now() - DAY_MS));
    await weekend.expireAt('idle', new Date(Date.now() - DAY_MS));
    await weekend.loseUpstream();
    await weekend.release('leaving');

    const since = performance.now();
    const random = seeded(SEED);
    const faults = random.shuffled(READ_FAULTS);
    const order = random.shuffled(KEPT);
    for (let life = 0; life < RESTARTS; life += 1) {
      const { collection } = HOLDERS[order[life % order.length]!];
      await live(collection, faults[(life + Math.floor(life / faults.length)) % faults.length]!, random.below(3) === 0);
      const images = await weekend.images();
      for (const name of KEPT) {
        const image = images.get(imageOf(name));
        const uid = before.get(imageOf(name))!.metadata.uid;
        expect({ life, name, uid: image?.metadata.uid, removal: image?.status?.removal }).toEqual({ life, name, uid });
      }
    }
    expect([...weekend.gate.met.keys()].sort()).toEqual([...READ_FAULTS].sort());
    weekend.gate.allow();

    await until(async () => !(await weekend.images()).has(imageOf('leaving')), {
      what: 'the image that nobody holds to be gone',
      timeoutMs: 20_000,
    });
    await until(() => performance.now() - since > DAYS * DAY_MS, { what: `${DAYS} days to pass` });
    for (const name of KEPT) {
      const { digest } = await pullWithSkopeo(weekend.proxyPrefix, imageOf(name));
      expect([name, digest]).toEqual([name, weekend.digests.get(imageOf(name))]);
      expect(await weekend.whyKept(imageOf(name))).toContain(`held by ${HOLDERS[name].kind} default/${name}\n`);
    }
    expect(await weekend.inCache('leaving')).toBe(false);
    await until(async () => (await weekend.whyKept(imageOf('leaving'))).includes('nobody holds it'), {
      what: 'pod-watcher to hear that it is gone',
      timeoutMs: 20_000,
    });
  },
  TIMEOUT_MS,
);

/** One life of pod-watcher and gc: they are killed, begin anew without a collection, live like that, and may see it before they are killed again. */
async function live(collection: string, fault: (typeof READ_FAULTS)[number], healed: boolean): Promise<void> {
  const { gate, services } = weekend;
  const victims = [services['pod-watcher'], services.gc];
  await Promise.all(victims.map((service) => service.kill('SIGKILL')));
  gate.allow();
  gate.spoil(collection, fault);
  const ready = Promise.all(victims.map((service) => service.restart()));
  const metBefore = gate.met.get(fault) ?? 0;
  const isMet = (): boolean => (gate.met.get(fault) ?? 0) > metBefore;
  await until(isMet, { what: `${collection} to be asked for`, timeoutMs: 20_000 });
  // Without pods pod-watcher is not ready, and decides on nothing.
  if (collection === HOLDERS.running.collection) {
    await passing(BLIND_MS);
    gate.allow();
    await ready;
    return;
  }
  await ready;
  await passing(BLIND_MS);
  if (!healed) return;
  gate.allow();
  await until(async () => (await weekend.known()) === true, {
    what: `${collection} to be known again`,
    timeoutMs: 20_000,
  });
}

/** Time itself is what the story is about: nothing can be seen that ends it. */
function passing(ms: number): Promise<unknown> {
  const end = performance.now() + ms;
  return until(() => performance.now() >= end, { what: `${ms} ms to pass`, timeoutMs: ms + 5_000 });
}
