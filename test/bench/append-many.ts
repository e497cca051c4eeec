import type { RegistryId } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { type Bench, interleaved, ratesRatio, secondsOf } from './bench.ts';
import { startDatabase } from './database.ts';
import { BenchLead, uploads } from './lead.ts';

const ARRAY = limits.commitEntriesMax;
const CLIENTS = 32;
/** Short ones, many of them: the database becomes faster and slower all the time. */
const TURNS = 4;

/** Entries that come together, in one request, share one commit. */
export const appendArray: Bench = {
  name: 'append-array',
  needs: 'database',
  run: async ({ quick, rounds }) => {
    const arrays = quick ? 1 : 3;
    const { measured, manyWrites, arrayCount } = await withLead(async (lead, registries) => {
      let writes = 0;
      let count = 0;
      const many = async (repeated: number) => {
        const requests = Array.from({ length: repeated }, () => uploads(ARRAY));
        const before = lead.transactions;
        const seconds = await secondsOf(async () => {
          for (const request of requests) await lead.append(registries.many, request);
        });
        writes += lead.transactions - before;
        count += requests.length;
        return seconds;
      };
      await many(quick ? 1 : 20);
      await oneByOne(lead, registries.one, quick ? 5 : 200);
      const measured = await interleaved(rounds, {
        one: () => many(arrays),
        other: () => oneByOne(lead, registries.one, ARRAY),
        turns: TURNS,
      });
      return { measured, manyWrites: writes, arrayCount: count };
    });
    const work = { one: arrays * ARRAY, other: ARRAY };
    return {
      figures: [
        {
          title: `entries/s in arrays of ${ARRAY}, against one at a time`,
          goal: { at: 'least', value: 4 },
          values: ratesRatio(measured, work),
        },
        {
          title: 'database transactions an array, counted',
          goal: { at: 'most', value: 1 },
          values: [manyWrites / arrayCount],
          unit: 'a request',
        },
      ],
      notes: [
        `An array of ${ARRAY} documents is one read of ${2 * ARRAY + 1} keys and one transaction ` +
          `of ${4 * ARRAY + 1} items, where one at a time takes ${ARRAY} of each, ` +
          `${5 * ARRAY} items in all. DynamoDB Local takes nearly as long for each further item ` +
          'of a transaction as for the first, which bounds what sharing can gain there.',
      ],
    };
  },
};

/** Requests that come at the same time share commits as well. */
export const appendConcurrent: Bench = {
  name: 'append-concurrent',
  needs: 'database',
  run: async ({ quick, rounds }) => {
    const each = quick ? 1 : 4;
    const { measured, entriesAWrite } = await withLead(async (lead, registries) => {
      let writes = 0;
      let entries = 0;
      const together = async (repeated: number) => {
        const before = lead.transactions;
        const seconds = await secondsOf(() =>
          Promise.all(
            Array.from({ length: CLIENTS }, () => oneByOne(lead, registries.many, repeated)),
          ),
        );
        writes += lead.transactions - before;
        entries += CLIENTS * repeated;
        return seconds;
      };
      await together(quick ? 1 : 20);
      await oneByOne(lead, registries.one, quick ? 5 : 200);
      const measured = await interleaved(rounds, {
        one: () => together(each),
        other: () => oneByOne(lead, registries.one, ARRAY),
        turns: TURNS,
      });
      return { measured, entriesAWrite: entries / writes };
    });
    const work = { one: CLIENTS * each, other: ARRAY };
    return {
      figures: [
        {
          title: `entries/s by ${CLIENTS} concurrent clients of one process, against one client`,
          goal: { at: 'least', value: 3 },
          values: ratesRatio(measured, work),
        },
        {
          title: 'entries a database transaction meanwhile, counted',
          goal: { at: 'least', value: 8 },
          values: [entriesAWrite],
          unit: 'entries',
        },
      ],
      notes: [
        'Each client waits for its answer before it sends the next transaction. Whatever arrives ' +
          'while a commit is under way shares the next one.',
      ],
    };
  },
};

interface Registries {
  readonly many: RegistryId;
  readonly one: RegistryId;
}

async function withLead<Result>(
  work: (lead: BenchLead, registries: Registries) => Promise<Result>,
): Promise<Result> {
  const database = await startDatabase();
  try {
    const lead = await BenchLead.start(database);
    const registries = { many: await lead.createRegistry(), one: await lead.createRegistry() };
    return await work(lead, registries);
  } finally {
    await database.close();
  }
}

/** One client: the seconds that it spends waiting for so many appends, one after the other. */
async function oneByOne(lead: BenchLead, registryId: RegistryId, count: number): Promise<number> {
  const transactions = uploads(count);
  return secondsOf(async () => {
    for (const transaction of transactions) await lead.append(registryId, [transaction]);
  });
}
