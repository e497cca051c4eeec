import { expect, test } from 'vitest';
import type { Link } from '../../shared/ledger/backlinks.ts';
import { type ChainHead, extendHead, nextEntry } from '../../shared/ledger/chain.ts';
import { type Digest, digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { linkTo } from '../../shared/ledger/entry.ts';
import {
  documentKey,
  type StateItem,
  type StateKey,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import type { Transaction } from '../../shared/ledger/transaction.ts';
import type { Head, StoredEntry } from '../../shared/registry/ports.ts';
import { checkpointFor, TestLedger, type TestPeer, testPeer, testUuid } from '../builders.ts';
import { audited, DAY_MS, DamagedStore, HOUR_MS } from './audited.ts';

const ENTRIES = 100_000;
const COMMIT = 10;
const CONTENT = Buffer.from('the same bytes everywhere');

/** What the chain looks at of any transaction without peers. */
const UPLOAD = { type: 'upload-document' } as Transaction;

const details = Buffer.from(
  '{"format":"registry/details/v1","name":"Grundriss","salt":"000102030405060708090a0b0c0d0e0f"}',
);
const [contentDigest, detailsDigest] = [digestOf(CONTENT), digestOf(details)];

/** The upload of a document of its own, as its entry's number names it. */
function uploadAt(sequence: number): Buffer {
  return Buffer.from(
    `{"contentDigest":"${contentDigest}","detailsDigest":"${detailsDigest}",` +
      `"documentId":"D-${sequence}","format":"registry/transaction/v1",` +
      `"mediaType":"application/pdf","size":${CONTENT.length},` +
      `"transactionId":"${testUuid(sequence)}","type":"upload-document","version":1}`,
  );
}

/** A long ledger of one lead: the chain is made at once, everything else when somebody reads it. */
class LongStore extends DamagedStore {
  readonly #lead: TestPeer;
  readonly #first: StoredEntry;
  readonly #entries: Buffer[] = [];
  readonly #links: Link[] = [];
  readonly #head: Head;
  /** State items that were asked for. */
  items = 0;

  constructor(lead: TestPeer, { head, entries: [first] }: TestLedger) {
    super();
    this.#lead = lead;
    this.#first = first as StoredEntry;
    let chain: ChainHead = head;
    while (chain.sequence < ENTRIES) {
      const transactionDigest = digestOf(uploadAt(chain.sequence + 1));
      const placement = { transaction: UPLOAD, transactionDigest, resolves: [] };
      const read = nextEntry(chain, placement, chain.timestamp);
      chain = extendHead(chain, read, UPLOAD);
      this.#entries.push(Buffer.from(read.bytes));
      this.#links.push(linkTo(read));
    }
    const checkpoint = lead.sign(checkpointFor(chain, lead));
    this.#head = { ...head, ...chain, checkpoint };
  }

  override async head() {
    return this.#head;
  }

  override async entriesAt(
    _registryId: RegistryId,
    _copy: number,
    sequences: readonly number[],
  ): Promise<StoredEntry[]> {
    this.asked.push(...sequences);
    return sequences.filter((sequence) => sequence <= ENTRIES).map((each) => this.#entryAt(each));
  }

  #entryAt(sequence: number): StoredEntry {
    const [link, entry] = [this.#links[sequence - 2], this.#entries[sequence - 2]];
    if (link === undefined || entry === undefined) return this.#first;
    const transaction = uploadAt(sequence);
    const stored = { ...link, entry, transactionId: testUuid(sequence), transaction, details };
    if (sequence % COMMIT > 0 && sequence < ENTRIES) return stored;
    const checkpoint = this.#lead.sign(checkpointFor({ ...this.#head, ...link }, this.#lead));
    return { ...stored, checkpoint };
  }

  override async read(
    _registryId: RegistryId,
    keys: readonly StateKey[],
  ): Promise<{ head: Head; items: Map<StateKey, StateItem> }> {
    this.items += keys.length;
    const items = new Map(keys.flatMap((key) => this.#itemsAt(key)));
    return { head: this.#head, items };
  }

  #itemsAt(key: StateKey): [StateKey, StateItem][] {
    const number = /^(?:transaction#.*-|document#D-|version#D-)([0-9a-f]+)/.exec(key)?.[1] ?? '';
    const sequence = Number.parseInt(number, key.startsWith('transaction') ? 16 : 10);
    if (sequence === 1) return [[key, { transactionDigest: this.#head.registryId, sequence }]];
    const entry = this.#links[sequence - 2];
    if (entry === undefined) return [];
    const { size, mediaType } = { size: CONTENT.length, mediaType: 'application/pdf' };
    const transactionDigest: Digest = digestOf(uploadAt(sequence));
    const made = new Map<StateKey, StateItem>([
      [transactionKey(testUuid(sequence)), { transactionDigest, sequence }],
      [documentKey(`D-${sequence}`), { first: entry.sequence, version: 1, entry }],
      [versionKey(`D-${sequence}`, 1), { entry, contentDigest, size, mediaType }],
    ]);
    const item = made.get(key);
    return item === undefined ? [] : [[key, item]];
  }
}

test('a run over 100,000 entries reads its slice, the newest entries, and what they link to', async () => {
  const lead = testPeer();
  const ledger = new TestLedger([lead]);
  const store = new LongStore(lead, ledger);
  const copy = await audited(ledger, { store });
  await copy.blobs.put(
    { contentDigest, size: CONTENT.length },
    (async function* () {
      yield CONTENT;
    })(),
  );
  const plan = { runEveryMs: HOUR_MS / 4, periodMs: 30 * DAY_MS };
  await copy.run(plan);
  store.asked.length = 0;
  store.items = 0;

  const outcome = await copy.run(plan);

  expect(outcome).toMatchObject({
    outcome: 'audited',
    from: 101,
    through: 200,
    entries: 200,
    documents: 100,
    findings: [],
  });
  // 200 entries, and with each page the commit before it, 17 backlinks and the list in force; for
  // the head its tower, its list, the newest entry and the place behind it.
  expect(store.asked.length).toBeLessThanOrEqual(200 + 2 * (24 + 17 + 1) + 20);
  // Four items for each entry: its transaction, its mark, its document and its version.
  expect(store.items).toBe(4 * 200);
});
