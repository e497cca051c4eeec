import { type Bench, interleaved, ratesRatio, secondsOf } from './bench.ts';
import { LocalSwarm } from './local-swarm.ts';

const PEERS = ['lead', 'mirror-1', 'mirror-2', 'mirror-3'];
const DEAD = 'mirror-3';

/** One peer that is gone must not slow down those that are there. */
export const deadMirror: Bench = {
  name: 'dead-mirror',
  needs: 'cluster',
  run: async ({ quick, rounds }) => {
    const appends = quick ? 5 : 100;
    const swarm = await LocalSwarm.start(PEERS);
    try {
      const registryId = await swarm.createRegistry(PEERS);
      let head = 1;
      const appendsOf = (count: number) =>
        secondsOf(async () => {
          for (let n = 0; n < count; n += 1) head = (await swarm.append(registryId, 1)).sequence;
        });
      const atRest = () => swarm.final(registryId, head, 200);
      await appendsOf(quick ? 5 : 100);
      const measured = await interleaved(rounds, {
        one: async () => {
          await atRest();
          await swarm.cluster.stopInstance(DEAD);
          const seconds = await appendsOf(appends);
          await swarm.cluster.startInstance(DEAD);
          return seconds;
        },
        other: async () => {
          await atRest();
          return appendsOf(appends);
        },
      });
      return {
        figures: [
          {
            title: 'appends/s of a lead with one of three mirrors dead, against all alive',
            goal: { at: 'least', value: 0.9 },
            values: ratesRatio(measured, { one: 1, other: 1 }),
          },
        ],
        notes: [
          'On the local cluster, by one application over mutual TLS, while the deliveries to the ' +
            'mirrors go on. A dead mirror also takes no time of the two cores that all of them ' +
            'share here, so a ratio above 1 is no surprise; below it would be waiting.',
        ],
      };
    } finally {
      await swarm.close();
    }
  },
};
