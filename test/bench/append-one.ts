import { randomUUID } from 'node:crypto';
import {
  type DynamoDBClient,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import type { Bench } from './bench.ts';
import { type BenchDatabase, startDatabase } from './database.ts';
import { BenchLead, uploads } from './lead.ts';

/**
 * What the ledger costs on top of its database: each append is followed by the bare write of the
 * same items, so that both meet the database at the same time and in the same condition.
 */
export const appendOne: Bench = {
  name: 'append-one',
  needs: 'database',
  run: async ({ quick, rounds }) => {
    const database = await startDatabase();
    try {
      const pair = await Pair.start(database);
      // The virtual machines of both sides compile while they run.
      await pair.round(quick ? 5 : 400);
      const measured: Seconds[] = [];
      for (let round = 0; round < rounds; round += 1)
        measured.push(await pair.round(quick ? 5 : 200));
      const ratios = measured.map(({ append, bare }) => bare / append);
      return {
        figures: [
          {
            title: 'appends/s by one client in process, against bare `TransactWriteItems`',
            goal: { at: 'least', value: 0.6 },
            values: ratios,
          },
        ],
        notes: [
          'One upload-document an append: 5 items in one transaction, written once more without ' +
            'the ledger, with the same items and conditions, into a second table.',
          'What is left is one strongly consistent `BatchGetItem` (head, transaction id, ' +
            'document) before the write; rules, hashing and signature take less than 1 ms.',
        ],
      };
    } finally {
      await database.close();
    }
  },
};

interface Seconds {
  readonly append: number;
  readonly bare: number;
}

class Pair {
  readonly #lead: BenchLead;
  readonly #registryId: RegistryId;
  readonly #client: DynamoDBClient;
  readonly #tableName: string;

  private constructor(lead: BenchLead, registryId: RegistryId, bare: BareTable) {
    this.#lead = lead;
    this.#registryId = registryId;
    this.#client = bare.client;
    this.#tableName = bare.tableName;
  }

  static async start(database: BenchDatabase): Promise<Pair> {
    const lead = await BenchLead.start(database);
    const registryId = await lead.createRegistry();
    const bare = { client: database.client(), tableName: `bare-${randomUUID()}` };
    await database.createTable(bare.tableName);
    const pair = new Pair(lead, registryId, bare);
    await pair.#writeBare();
    return pair;
  }

  async round(appends: number): Promise<Seconds> {
    const seconds = { append: 0, bare: 0 };
    for (let n = 0; n < appends; n += 1) {
      const proposals = uploads(1);
      const begun = performance.now();
      await this.#lead.append(this.#registryId, proposals);
      const appended = performance.now();
      await this.#writeBare();
      seconds.append += (appended - begun) / 1000;
      seconds.bare += (performance.now() - appended) / 1000;
    }
    return seconds;
  }

  async #writeBare(): Promise<void> {
    const TransactItems = this.#lead.lastWrite.map((item) => this.#elsewhere(item));
    await this.#client.send(new TransactWriteItemsCommand({ TransactItems }));
  }

  #elsewhere({ Put: put }: TransactWriteItem): TransactWriteItem {
    if (put === undefined) throw new Error('the ledger writes something else than Puts');
    return { Put: { ...put, TableName: this.#tableName } };
  }
}

interface BareTable {
  readonly client: DynamoDBClient;
  readonly tableName: string;
}
