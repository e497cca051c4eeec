/**
 * Builds keys, transactions, entries, whole ledgers and exports, by the rules unless a test asks for
 * something else. Ids and times count up from fixed values: only keys differ from run to run.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Link } from '../shared/ledger/backlinks.ts';
import { encodeCanonical } from '../shared/ledger/canonical.ts';
import { certificateIdOfJwk } from '../shared/ledger/certificate.ts';
import {
  type ChainHead,
  extendHead,
  handsOver,
  leadOf,
  nextEntry,
} from '../shared/ledger/chain.ts';
import { type Checkpoint, checkpointOf } from '../shared/ledger/checkpoint.ts';
import { type ConfirmationStatement, confirmationOf } from '../shared/ledger/confirmation.ts';
import { encodeCountersignedLine } from '../shared/ledger/countersigned.ts';
import {
  type CertificateId,
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from '../shared/ledger/digest.ts';
import { type EntryParts, linkTo, type ReadEntry } from '../shared/ledger/entry.ts';
import { resolvesNothing } from '../shared/ledger/entry-in-place.ts';
import {
  type Compact,
  type PublicKeyJwk,
  type Statement,
  signStatement,
} from '../shared/ledger/jws.ts';
import { encodeSignedLine } from '../shared/ledger/signed-line.ts';
import {
  mergeChanges,
  type Ruling,
  rule,
  type StateChange,
  type StateItem,
  type StateKey,
  type StateView,
  viewAfter,
} from '../shared/ledger/state.ts';
import {
  carriedOut,
  changesWithoutEffect,
  namingChanges,
  voidChanges,
} from '../shared/ledger/superseding.ts';
import {
  type Draft,
  encodeTransaction,
  type ReadTransaction,
  readTransaction,
} from '../shared/ledger/transaction.ts';
import { commitWrite, type StagedEntry } from '../shared/registry/commit.ts';
import { keptStatement } from '../shared/registry/kept-statements.ts';
import type {
  BlobStore,
  CommitWrite,
  Confirmation,
  Head,
  LedgerStore,
  Signer,
  StoredEntry,
} from '../shared/registry/ports.ts';
import type { TestResolution } from './resolving.ts';

/** When the first entry of a test ledger is made; every later one a second later. */
export const START = Date.parse('2026-11-22T10:00:00.000Z');

/** START plus so many seconds, as ledgers write it. */
export function timeAfter(seconds: number): string {
  return new Date(START + 1000 * seconds).toISOString();
}

/** An instance as far as its key goes: a port Signer and what tests need beside it. */
export interface TestPeer extends Signer {
  readonly jwk: PublicKeyJwk;
  readonly key: KeyObject;
}

/** A peer with a new P-256 key. */
export function testPeer(): TestPeer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const jwk = { crv: 'P-256', kty: 'EC', x, y } as const;
  const certificateId = certificateIdOfJwk(jwk);
  return {
    certificateId,
    knownIds: [certificateId],
    jwk,
    key: privateKey,
    sign: (statement: Statement) => signStatement(statement, privateKey, jwk),
  };
}

/** So many peers; the first is meant to lead. */
export function testPeers(count: number): TestPeer[] {
  return Array.from({ length: count }, testPeer);
}

/** The nth UUID of tests. */
export function testUuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

let uuids = 0;

/** A UUID that no other call gives. */
export function nextUuid(): string {
  uuids += 1;
  return testUuid(uuids);
}

export const SALT = '000102030405060708090a0b0c0d0e0f';

/** A transaction as bytes, with its details where its type has them. */
export interface TestTransaction {
  readonly transaction: Buffer;
  readonly details?: Buffer;
  /** The document's bytes that the transaction is about. */
  readonly content?: Buffer;
}

type Changes = Readonly<Record<string, unknown>>;

/** A create-registry for these peers, the first of which leads. */
export function createRegistry(
  peers: readonly { readonly certificateId: CertificateId }[],
  changes: Changes = {},
): TestTransaction {
  const draft: Draft = {
    type: 'create-registry',
    transactionId: nextUuid(),
    peers: idsOf(peers),
    ...changes,
  };
  return encodeTransaction(draft, { salt: SALT, name: 'Neubau Bürgerhaus', description: 'Los 1' });
}

/** A reconfigure-peers to this list. */
export function reconfigurePeers(
  peers: readonly { readonly certificateId: CertificateId }[],
  changes: Changes = {},
): TestTransaction {
  const transactionId = nextUuid();
  return encodeTransaction({
    type: 'reconfigure-peers',
    transactionId,
    peers: idsOf(peers),
    ...changes,
  });
}

/** An upload-document of version 1, or of the version in `changes`. */
export function uploadDocument(documentId = 'plan-1', changes: Changes = {}): TestTransaction {
  const transactionId = nextUuid();
  const content = Buffer.from(`bytes of ${documentId} ${changes['version'] ?? 1}`);
  const draft: Draft = {
    type: 'upload-document',
    transactionId,
    documentId,
    version: 1,
    mediaType: 'application/pdf',
    size: content.length,
    contentDigest: digestOf(content),
    ...changes,
  };
  const details = { salt: SALT, name: 'Grundriß Erdgeschoß.pdf', note: 'zur Freigabe' };
  return { ...encodeTransaction(draft, details), content };
}

function idsOf(peers: readonly { readonly certificateId: CertificateId }[]): CertificateId[] {
  return peers.map(({ certificateId }) => certificateId);
}

/** Reads what must be a transaction. */
export function readTestTransaction({ transaction }: TestTransaction): ReadTransaction {
  const read = readTransaction(transaction);
  if (read.outcome === 'refused') throw new Error(`${read.code}: ${read.detail}`);
  return read;
}

/** How an entry is to differ from the one that the rules lead to. */
export interface Forgery {
  /** Members of the entry in place of the right ones. */
  readonly entry?: Partial<EntryParts>;
  /** The transaction is recorded whatever the rules say, and changes nothing else of the state. */
  readonly unruled?: boolean;
}

/** What is unusual about a commit. */
export interface CommitOptions extends Forgery {
  /** The first entry names these resolutions, and carries them out. */
  readonly resolves?: readonly TestResolution[];
}

export interface TestCommit {
  readonly write: CommitWrite;
  readonly entries: readonly StoredEntry[];
}

/**
 * A ledger in the making. Every `commit` ends in the lead's checkpoint, as a lead would sign it,
 * and is kept as the write that a store takes.
 */
export class TestLedger {
  readonly #peers: Map<CertificateId, TestPeer>;
  readonly #state = new Map<StateKey, StateItem>();
  readonly commits: TestCommit[] = [];
  readonly confirmations: Confirmation[] = [];
  readonly documents = new Map<Digest, Buffer>();
  /** Those that entries name. */
  readonly resolutions: TestResolution[] = [];
  #head: Head | undefined;

  /** All peers that will ever sign; those of `listed` are in the first list, by default all. */
  constructor(
    peers: readonly TestPeer[],
    listed: readonly TestPeer[] = peers,
    created: Changes = {},
  ) {
    this.#peers = new Map(peers.map((peer) => [peer.certificateId, peer]));
    this.commit([createRegistry(listed, created)]);
  }

  get head(): Head {
    if (this.#head === undefined) throw new Error('the ledger has no entry yet');
    return this.#head;
  }

  get registryId(): RegistryId {
    return this.head.registryId;
  }

  get lead(): TestPeer {
    return this.peer(leadOf(this.head.configuration));
  }

  get entries(): StoredEntry[] {
    return this.commits.flatMap(({ entries }) => entries);
  }

  /** The state as a map folds it. */
  get state(): ReadonlyMap<StateKey, StateItem> {
    return this.#state;
  }

  peer(id: CertificateId): TestPeer {
    const peer = this.#peers.get(id);
    if (peer === undefined) throw new Error(`no test peer has the certificate id ${id}`);
    return peer;
  }

  entryAt(sequence: number): StoredEntry {
    const entry = this.entries[sequence - 1];
    if (entry === undefined) throw new Error(`the ledger has no entry ${sequence}`);
    return entry;
  }

  /** One commit of these transactions. */
  commit(
    transactions: readonly TestTransaction[],
    { resolves = [], ...forgery }: CommitOptions = {},
  ): readonly StoredEntry[] {
    const signer = this.#head === undefined ? undefined : this.lead;
    let chain: ChainHead | undefined = this.#head;
    const staged: StagedEntry[] = [];
    const replaceable = carriedOut(resolves).flatMap(({ statement }) => statement.entries);
    for (const [index, transaction] of transactions.entries()) {
      const carrying = { resolves: index === 0 ? resolves : [], replaceable };
      const entry = this.#stage(chain, transaction, forgery, carrying);
      chain = extendHead(chain, entry.read, entry.transaction.transaction);
      staged.push(entry);
      if (transaction.content !== undefined)
        this.documents.set(digestOf(transaction.content), transaction.content);
    }
    if (chain === undefined) throw new Error('a commit holds at least one transaction');
    const lead = signer ?? this.peer(leadOf(chain.configuration));
    const checkpoint = lead.sign(checkpointFor(chain, lead, chain.sequence));
    const context = { before: this.#head, self: lead.knownIds, tableId: 'memory' };
    const write = commitWrite({ ...context, registryId: chain.registryId }, staged, checkpoint);
    this.commits.push({ write, entries: write.entries });
    this.resolutions.push(...resolves);
    this.#head = write.head;
    return write.entries;
  }

  #stage(
    chain: ChainHead | undefined,
    test: TestTransaction,
    forgery: Forgery,
    { resolves, replaceable }: Carrying,
  ): StagedEntry {
    const { transaction: read, digest } = readTestTransaction(test);
    const view: StateView = (key) => this.#state.get(key);
    const sequence = ((chain?.sequence ?? 0) + 1) as Sequence;
    const rulingAfter = (marks: readonly StateChange[]): Ruling =>
      forgery.unruled === true
        ? {
            outcome: 'accepted',
            changesAt: () => changesWithoutEffect(read, { transactionDigest: digest, sequence }),
          }
        : rule(chain, viewAfter(view, marks), read, digest, replaceable);
    // The rules do not read which entry makes the marks, which has no digest yet.
    const unnamed = { sequence, digest: digestOf('') };
    const ruling = accepted(rulingAfter(this.#marksAt(unnamed, resolves)));
    const placement = {
      transaction: read,
      transactionDigest: digest,
      resolves: resolves.map((resolution) => resolution.digest),
      ...(ruling.subject === undefined ? {} : { subject: ruling.subject }),
    };
    const right = nextEntry(chain, placement, timeAfter(chain?.sequence ?? 0));
    const built = forgery.entry === undefined ? right : forgedEntry(right, forgery.entry);
    const marks = this.#marksAt(linkTo(built), resolves);
    const ruled = accepted(rulingAfter(marks)).changesAt(linkTo(built));
    const naming = { entry: linkTo(built), resolves: placement.resolves };
    const changes = mergeChanges([...namingChanges(view, naming), ...marks, ...ruled]);
    for (const { key, after } of changes) this.#state.set(key, after);
    const details = test.details === undefined ? {} : { details: test.details };
    return { read: built, transaction: readTestTransaction(test), changes, ...details };
  }

  #marksAt(entry: Link, resolves: readonly TestResolution[]): StateChange[] {
    const voiding = carriedOut(resolves).filter(({ statement }) => statement.manner === 'replace');
    return voiding.flatMap(({ digest, statement }) => {
      const voided = statement.entries.map((link) => {
        const transaction = Buffer.from(this.entryAt(link.sequence).transaction);
        return { link, transaction: readTestTransaction({ transaction }).transaction };
      });
      const view: StateView = (key) => this.#state.get(key);
      return voidChanges(view, voided, { entry, resolution: digest });
    });
  }

  /** A commit of one new version of each document named. */
  upload(...documentIds: readonly string[]): readonly StoredEntry[] {
    const planned = new Map<string, number>();
    return this.commit(
      documentIds.map((documentId) => {
        const version = (planned.get(documentId) ?? this.#latest(documentId)) + 1;
        planned.set(documentId, version);
        return uploadDocument(documentId, { version });
      }),
    );
  }

  #latest(documentId: string): number {
    const item = this.#state.get(`document#${documentId}` as StateKey);
    return item !== undefined && 'version' in item ? item.version : 0;
  }

  /** A commit of a reconfigure-peers: the first of the list leads afterwards. */
  reconfigure(...peers: readonly TestPeer[]): readonly StoredEntry[] {
    return this.commit([reconfigurePeers(peers)]);
  }

  /** The peer's confirmation of the head, kept as a store would keep it. */
  confirm(peer: TestPeer, changes: Partial<ConfirmationStatement> = {}): Confirmation {
    const { sequence, digest, checkpoint } = this.head;
    const confirmedAt = timeAfter(sequence);
    const statement = peer.sign({ ...confirmationFor(this.head, peer), ...changes });
    const signer = peer.certificateId;
    const copy = changes.copy ?? 1;
    const times = { confirmedAt, receivedAt: timeAfter(sequence + 1) };
    const confirmation = { signer, sequence, digest, copy, statement, checkpoint, ...times };
    this.confirmations.push(confirmation);
    return confirmation;
  }

  /** The lines of its export, without newlines. */
  lines(): Buffer[] {
    const entries = this.entries.flatMap((stored) => {
      const confirmations = this.confirmations.filter((each) => each.sequence === stored.sequence);
      const ends = stored.sequence === this.head.sequence || this.#endsTenure(stored);
      const needed = ends || this.#carriesOut(stored) || confirmations.length > 0;
      const checkpoint = needed ? stored.checkpoint : undefined;
      const statements = [checkpoint, ...confirmations.map(({ statement }) => statement)];
      return [
        ...linesOf(stored),
        ...statements.filter((each) => each !== undefined).map(encodeSignedLine),
      ];
    });
    return [...this.#resolutionLines(), ...entries];
  }

  #resolutionLines(): Buffer[] {
    const lines = this.resolutions.flatMap(({ reports, signed }) => [
      ...reports.map(encodeSignedLine),
      encodeCountersignedLine(signed),
    ]);
    return lines.filter((line, index) => lines.findIndex((each) => each.equals(line)) === index);
  }

  /** Whether the commit that ends with this entry carries resolutions out. */
  #carriesOut({ sequence }: StoredEntry): boolean {
    const commit = this.commits.find(({ write }) => write.head.sequence === sequence);
    return commit?.entries.some(({ entry }) => !resolvesNothing(entry)) ?? false;
  }

  #endsTenure(stored: StoredEntry): boolean {
    const before = this.commits.find(({ write }) => write.head.sequence === stored.sequence - 1);
    const { transaction } = readTestTransaction({ transaction: Buffer.from(stored.transaction) });
    return before !== undefined && handsOver(before.write.head, transaction);
  }

  /** Puts everything into an empty store, as the ledger's writes came. */
  async fill(store: LedgerStore): Promise<void> {
    for (const { write } of this.commits) {
      const { outcome } = await store.commit(write);
      if (outcome !== 'stored') throw new Error(`the store answers ${outcome}`);
    }
    for (const confirmation of this.confirmations)
      await store.putConfirmation(this.registryId, confirmation, 'received');
    for (const [index, { signed, reports }] of this.resolutions.entries()) {
      const recordedAt = timeAfter(200 + index);
      const { statement, decision } = signed;
      const kept = [
        ...reports.map((report) => keptStatement('report', report, { recordedAt })),
        keptStatement('resolution', statement, { recordedAt, decision }),
      ];
      for (const each of kept) await store.keep(this.registryId, each, 'received');
    }
  }

  /** Puts every document's bytes into the store. */
  async fillBlobs(blobs: BlobStore): Promise<void> {
    for (const [contentDigest, bytes] of this.documents)
      await blobs.put({ contentDigest, size: bytes.length }, chunksOf(bytes));
  }
}

/** What the first entry of a commit names, and what all of them may replace. */
interface Carrying {
  readonly resolves: readonly TestResolution[];
  readonly replaceable: readonly Link[];
}

function accepted(ruling: Ruling): Exclude<Ruling, { outcome: 'refused' }> {
  if (ruling.outcome === 'refused') throw new Error(`${ruling.code}: ${ruling.detail}`);
  return ruling;
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The entry with other members, and the digest that follows. */
function forgedEntry(right: ReadEntry, changes: Partial<EntryParts>): ReadEntry {
  const entry = { ...right.entry, ...changes } as ReadEntry['entry'];
  const bytes = encodeCanonical(entry);
  return { outcome: 'read', entry, bytes, digest: digestOf(bytes) };
}

/** The checkpoint of a head, to be signed by the peer. */
export function checkpointFor(head: ChainHead, peer: TestPeer, seconds = 0): Checkpoint {
  const { registryId, sequence, digest } = head;
  const issuedAt = timeAfter(seconds);
  return checkpointOf({
    registryId,
    sequence,
    digest,
    signer: peer.certificateId,
    copy: 1,
    issuedAt,
  });
}

/** The confirmation of a head, to be signed by the peer. */
export function confirmationFor(head: ChainHead, peer: TestPeer): ConfirmationStatement {
  const { registryId, sequence, digest } = head;
  const confirmedAt = timeAfter(sequence);
  return confirmationOf({
    registryId,
    sequence,
    digest,
    signer: peer.certificateId,
    copy: 1,
    confirmedAt,
  });
}

/** Transaction, details and entry as the lines of an export. */
export function linesOf({ transaction, details, entry }: StoredEntry): Buffer[] {
  return [transaction, details, entry].flatMap((bytes) =>
    bytes === undefined ? [] : [Buffer.from(bytes)],
  );
}

/** The lines with a newline after each, as a file. */
export function fileOf(lines: readonly Uint8Array[]): Buffer {
  return Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
}

/** The statement that a compact serialization carries, unverified. */
export function payloadOfCompact(compact: Compact): Record<string, unknown> {
  const [, payload = ''] = compact.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}
