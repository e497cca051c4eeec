/** Commits and conflicts that meet on one head, again and again, in a real database. */
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DynamoLedgerStore } from '../../shared/adapters/aws/dynamo-ledger-store.ts';
import { type Digest, digestOf } from '../../shared/ledger/digest.ts';
import type {
  KeptStatement,
  OpenedConflict,
  Origin,
} from '../../shared/registry/conflict-record.ts';
import type { Head, LedgerStore } from '../../shared/registry/ports.ts';
import { type DynamoDbLocal, startDynamoDbLocal } from '../dynamo-db-local.ts';
import { conflictIn, ledgerIn, setAsideIn, type TestLedger } from './ledger-store-builders.ts';

const SEED = 'conflict races';
const INTERLEAVINGS = 250;
const JITTER_MS = 6;
/** More than the others of a round can overtake anybody. */
const TRIES_MAX = 100;

let local: DynamoDbLocal;
beforeAll(async () => {
  local = await startDynamoDbLocal();
}, 40_000);
afterAll(() => local.stop());

/** Waits that are the same in every run: what they lead to is up to the machine. */
function jitterOf(seed: string) {
  let drawn = 0;
  const fraction = () => {
    drawn += 1;
    return Number.parseInt(digestOf(`${seed} ${drawn}`).slice(0, 8), 16) / 2 ** 32;
  };
  return { fraction, wait: () => setTimeout(fraction() * JITTER_MS) };
}

type Jitter = ReturnType<typeof jitterOf>;

async function storeWith({ fraction, wait }: Jitter): Promise<DynamoLedgerStore> {
  const client = local.client();
  const tableName = await local.createTable(client);
  const clock = { now: () => 0, wait };
  const random = { fraction, uuid: () => '', hex: () => '' };
  return new DynamoLedgerStore({ client, tableName, clock, random });
}

/** Builds on the head as read, until it finds the registry blocked, as whoever appends does. */
async function append(store: LedgerStore, ledger: TestLedger, jitter: Jitter) {
  const tried: { readonly digest: Digest; readonly outcome: string }[] = [];
  while (tried.length < TRIES_MAX) {
    const head = await headOf(store, ledger);
    if (head.openConflicts.length > 0) return tried;
    const write = ledger.moved(head).uploads(1);
    await jitter.wait();
    const { outcome } = await store.commit(write);
    tried.push({ digest: write.head.digest, outcome });
  }
  throw new Error('nobody stops the commits');
}

/** Opens the conflict on the head as it is then; resolves to the head's digest. */
async function open(
  store: LedgerStore,
  conflict: OpenedConflict,
  origin: Origin,
  jitter: Jitter,
): Promise<Digest | undefined> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const head = await store.head(conflict.registryId);
    if (head === undefined) throw new Error('no head');
    await jitter.wait();
    const outcome = await store.openConflict(conflict, head, origin);
    if (outcome !== 'lost-race') return outcome === 'opened' ? head.digest : undefined;
  }
  throw new Error(`the conflict ${conflict.conflictId} never opens`);
}

async function headOf(store: LedgerStore, { registryId }: TestLedger): Promise<Head> {
  const head = await store.head(registryId);
  if (head === undefined) throw new Error(`no head of registry ${registryId}`);
  return head;
}

/** People settle all that is open: the next round begins with a free head. */
async function settled(store: LedgerStore, head: Head, kept: KeptStatement): Promise<Head> {
  const { registryId, conflictsVersion } = head;
  const next = { ...head, conflictsVersion: conflictsVersion + 1, openConflicts: [] };
  const settlement = { registryId, expected: head, head: next, kept, origin: 'own' } as const;
  expect(await store.settle(settlement)).toBe('settled');
  return next;
}

test('no entry is stored after a conflict was recorded, whoever comes first', async () => {
  const jitter = jitterOf(SEED);
  const store = await storeWith(jitter);
  const ledger = await ledgerIn(store);
  const { registryId } = ledger;
  const own: string[] = [];
  const outcomes: string[] = [];
  let before = await headOf(store, ledger);

  for (let round = 1; round <= INTERLEAVINGS; round += 1) {
    const where = `seed "${SEED}", round ${round}`;
    const mine = conflictIn(registryId, 2 * round);
    const theirs = conflictIn(registryId, 2 * round + 1);
    // In some rounds two processes do the same.
    const processes = Array.from({ length: round % 4 === 0 ? 2 : 1 });
    const appending = processes.map(() => append(store, ledger, jitter));
    const opening = processes.map(() => open(store, mine, 'own', jitter));
    opening.push(open(store, theirs, 'received', jitter));
    const opened = (await Promise.all(opening)).filter((digest) => digest !== undefined);
    const tried = (await Promise.all(appending)).flat();

    const head = await headOf(store, ledger);
    const stored = tried.filter(({ outcome }) => outcome === 'stored');
    expect(opened, where).toEqual([head.digest, head.digest]);
    expect(head.sequence, where).toBe(before.sequence + stored.length);
    const entries = await store.entries(registryId, 1, { from: before.sequence + 1, count: 100 });
    const digests = entries.map(({ digest }) => digest);
    expect(digests.toSorted(), where).toEqual(stored.map(({ digest }) => digest).sort());
    expect([before.digest, ...digests].at(-1), where).toBe(head.digest);
    expect(head.conflictsVersion, where).toBe(before.conflictsVersion + 2);
    const ids = [mine, theirs].map(({ conflictId }) => conflictId);
    expect(head.openConflicts.toSorted(), where).toEqual(ids.sort());

    before = await settled(store, head, setAsideIn(registryId, round));
    own.push(mine.statement);
    outcomes.push(...tried.map(({ outcome }) => outcome));
  }

  expect(await store.conflicts(registryId)).toHaveLength(2 * INTERLEAVINGS);
  expect(await store.kept(registryId)).toHaveLength(INTERLEAVINGS);
  const log = await store.statementsAfter(registryId, 0, 10 * INTERLEAVINGS);
  expect(log.map(({ index }) => index)).toEqual(log.map((_, at) => at + 1));
  // Its conflict, and then what settled it.
  expect(log).toHaveLength(2 * INTERLEAVINGS);
  const conflicts = log.filter(({ decision }) => decision === undefined);
  expect(conflicts.map(({ statement }) => statement)).toEqual(own);
  // Both orders did happen, or nothing was tested.
  expect(new Set(outcomes)).toEqual(new Set(['stored', 'lost-race']));
});
