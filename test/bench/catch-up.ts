import { limits } from '../../shared/ledger/limits.ts';
import { type Bench, type BenchSize, median, secondsOf } from './bench.ts';
import { LocalSwarm } from './local-swarm.ts';

const LEAD = 'lead';
const MIRROR = 'mirror';

/**
 * A mirror that begins with nothing, against the same work entry by entry: append, stream, poke,
 * delivery, confirmation.
 */
export const catchUp: Bench = {
  name: 'catch-up',
  needs: 'cluster',
  run: async (size) => {
    const { quick, rounds } = size;
    const entries = quick ? 200 : 10_000;
    const joiners = Array.from({ length: rounds }, (_, round) => `joiner-${round + 1}`);
    const swarm = await LocalSwarm.start([LEAD, MIRROR, ...joiners]);
    try {
      // Each joins in its own round; until then it must not take the machine's time.
      for (const joiner of joiners) await swarm.cluster.stopInstance(joiner);
      const measured = await measure(swarm, joiners, { ...size, entries });
      const caughtUp = median(measured.map(({ joined }) => joined.entries / joined.seconds));
      const oneByOne = median(measured.map(({ piped }) => piped.entries / piped.seconds));
      return {
        figures: [
          {
            title:
              `catch-up of a new mirror over ${entries.toLocaleString('en')} entries, entries/s ` +
              'against the whole pipeline one entry at a time',
            goal: { at: 'least', value: 10 },
            values: measured.map(
              ({ joined, piped }) =>
                joined.entries / joined.seconds / (piped.entries / piped.seconds),
            ),
          },
        ],
        notes: [
          'On the local cluster with mutual TLS. The pipeline is timed from the request to append ' +
            'until the lead shows the entry as final with one mirror; the catch-up from the ' +
            'request to add the mirror until the lead shows that as final, which covers every ' +
            `entry before. ${caughtUp.toFixed(0)} entries/s against ${oneByOne.toFixed(1)}; all ` +
            'instances and emulators share the two cores.',
        ],
      };
    } finally {
      await swarm.close();
    }
  },
};

interface Timed {
  readonly entries: number;
  readonly seconds: number;
}

interface Round {
  readonly joined: Timed;
  readonly piped: Timed;
}

async function measure(
  swarm: LocalSwarm,
  joiners: readonly string[],
  { quick, entries }: BenchSize & { readonly entries: number },
): Promise<Round[]> {
  const small = await swarm.createRegistry([LEAD, MIRROR]);
  const large = await swarm.createRegistry([LEAD]);
  for (let held = 1; held < entries; held += limits.commitEntriesMax)
    await swarm.append(large, Math.min(limits.commitEntriesMax, entries - held));
  const pipeline = () => onePipelined(swarm, small, quick ? 2 : 20);
  await pipeline();
  const rounds: Round[] = [];
  for (const joiner of joiners) {
    const piped = await pipeline();
    rounds.push({ piped, joined: await join(swarm, large, joiner, entries) });
  }
  return rounds;
}

async function onePipelined(
  swarm: LocalSwarm,
  registryId: string,
  entries: number,
): Promise<Timed> {
  const seconds = await secondsOf(async () => {
    for (let entry = 0; entry < entries; entry += 1) {
      const { sequence } = await swarm.append(registryId, 1);
      await swarm.final(registryId, sequence, 20);
    }
  });
  return { entries, seconds };
}

async function join(
  swarm: LocalSwarm,
  registryId: string,
  joiner: string,
  entries: number,
): Promise<Timed> {
  await swarm.cluster.startInstance(joiner);
  const seconds = await secondsOf(async () => {
    const peers = swarm.idsOf([LEAD, joiner]);
    // Verifies one checkpoint, which is nothing beside the catch-up.
    const { sequence } = await swarm.client.reconfigurePeers(registryId, peers);
    await swarm.final(registryId, sequence, 200);
  });
  await swarm.client.reconfigurePeers(registryId, swarm.idsOf([LEAD]));
  await swarm.cluster.stopInstance(joiner);
  return { entries, seconds };
}
