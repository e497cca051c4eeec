/**
 * The audit of one's own copy: everything that this instance stores about a registry, read again
 * and held against what the entries themselves lead to. Nothing is believed because it is stored.
 *
 * 1. Read the head: the audit covers what it names.
 * 2. Verify the resolutions that entries name, with the conflicts that they are of.
 * 3. Page by page: verify every entry, its digest as stored, its checkpoint, and the confirmations
 *    of all peers, as an export is verified; hold the state items against the transaction; read
 *    every document's bytes again.
 * 4. At the last entry hold the head item against the chain that came out.
 *
 * It writes nothing and opens no conflict; a crash leaves nothing, and it begins anew.
 */
import { type ChainHead, sameLink } from '../ledger/chain.ts';
import {
  type CertificateId,
  type Digest,
  digestOfStream,
  type RegistryId,
} from '../ledger/digest.ts';
import type { RefusalCode } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import { supersededKey } from '../ledger/state.ts';
import { type Finding, LedgerVerifier } from '../ledger/verify.ts';
import {
  type AuditFlaw,
  bytesMissing,
  flawOfBytes,
  flawOfHeadItem,
  flawOfState,
  flawOfStoredConfirmation,
} from './audit-flaws.ts';
import { readStoredState, transactionOf } from './audit-state.ts';
import { ConfirmationsInOrder } from './export.ts';
import { generationOf } from './held-content.ts';
import { laterInvitation } from './newest-list.ts';
import type { BlobStore, Head, LedgerStore, StoredEntry } from './ports.ts';
import { statementsBefore } from './statements-before.ts';

export interface AuditPorts {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
}

export type AuditCode =
  | RefusalCode
  /** An entry below the head is not there. */
  | 'ENTRY_MISSING'
  /** What is stored about an entry beside its bytes is not what the bytes say. */
  | 'STORED_ENTRY_DIFFERS'
  | 'STORED_CONFIRMATION_DIFFERS'
  | 'STATE_ITEM_DIFFERS'
  | 'HEAD_DIFFERS'
  | 'DOCUMENT_MISSING'
  | 'DOCUMENT_DIFFERS';

export type AuditOutcome =
  | {
      readonly outcome: 'sound';
      readonly entries: number;
      /** Versions whose bytes were read. */
      readonly documents: number;
      /** Of those documents. */
      readonly bytes: number;
      /** Versions whose bytes this mirror still has to fetch, and has confirmed nowhere. */
      readonly documentsPending: number;
      readonly confirmations: number;
      readonly headDigest: Digest;
    }
  /** The first entry that is wrong. */
  | {
      readonly outcome: 'wrong';
      readonly sequence: number;
      readonly code: AuditCode;
      readonly detail: string;
    }
  | { readonly outcome: 'unknown-registry' };

type Wrong = Extract<AuditOutcome, { outcome: 'wrong' }>;

/** How far an audit has come. */
export interface AuditProgress {
  readonly entries: number;
  readonly entriesTotal: number;
  readonly documents: number;
  readonly bytes: number;
}

/**
 * Audits one registry from entry 1 to its head as it is at the beginning. Takes 136 bytes of memory
 * an entry. `onProgress` is called after every page of 100 entries.
 */
export async function auditRegistry(
  ports: AuditPorts,
  registryId: RegistryId,
  onProgress: (progress: AuditProgress) => void = () => undefined,
): Promise<AuditOutcome> {
  const head = await ports.store.head(registryId);
  if (head === undefined) return { outcome: 'unknown-registry' };
  const progress = await ports.store.progress(registryId);
  const invitation = await laterInvitation(ports.store, head);
  const audit = new Audit(ports, head, {
    fetchedThrough: progress?.verifiedThrough,
    peersBeyond: invitation?.everPeers ?? [],
  });
  const unknown = await audit.begin();
  if (unknown !== undefined) return unknown;
  while (audit.entries < head.sequence) {
    const flaw = await audit.nextPage();
    if (flaw !== undefined) return flaw;
    onProgress(audit.progress);
  }
  return audit.end();
}

/** What is known beside the ledger, of a copy that is still catching up. */
interface KnownBefore {
  /** Documents above were not all fetched yet; undefined: nothing is known to be under way. */
  readonly fetchedThrough: number | undefined;
  /** Peers of lists that are still to come. */
  readonly peersBeyond: readonly CertificateId[];
}

class Audit {
  readonly #ports: AuditPorts;
  readonly #head: Head;
  /** Documents above were not all fetched yet; undefined: nothing is known to be under way. */
  readonly #fetchedThrough: number | undefined;
  readonly #verifier: LedgerVerifier;
  readonly #inOrder: ConfirmationsInOrder;
  #documents = 0;
  #documentsPending = 0;
  #bytes = 0;
  #confirmations = 0;

  constructor(ports: AuditPorts, head: Head, { fetchedThrough, peersBeyond }: KnownBefore) {
    this.#ports = ports;
    this.#head = head;
    this.#fetchedThrough = fetchedThrough;
    const { registryId } = head;
    this.#verifier = new LedgerVerifier({ registryId, rules: true, peersBeyond });
    this.#inOrder = new ConfirmationsInOrder(ports.store, head.registryId);
  }

  get entries(): number {
    return this.#verifier.head?.sequence ?? 0;
  }

  get progress(): AuditProgress {
    return {
      entries: this.entries,
      entriesTotal: this.#head.sequence,
      documents: this.#documents,
      bytes: this.#bytes,
    };
  }

  /** What the entries name must be known before the first of them. */
  async begin(): Promise<Wrong | Finding | undefined> {
    for (const said of await statementsBefore(this.#ports.store, this.#head)) {
      const finding =
        said.kind === 'conflict'
          ? this.#verifier.conflict(said.statement)
          : this.#verifier.resolution(said.signed);
      if (finding !== undefined) return finding;
    }
    return undefined;
  }

  async nextPage(): Promise<Wrong | undefined> {
    const { registryId, copy, sequence } = this.#head;
    const from = this.entries + 1;
    const count = Math.min(limits.pageMax, sequence - this.entries);
    const page = await this.#ports.store.entries(registryId, copy, { from, count });
    if (page.length === 0)
      return wrong(from, {
        code: 'ENTRY_MISSING',
        detail: `entry ${from} is missing below the head ${sequence}`,
      });
    const state = await readStoredState(this.#ports.store, this.#head, page);
    for (const stored of page) {
      const flaw =
        this.#flawOfEntry(stored) ??
        (await this.#flawOfConfirmations(stored)) ??
        wrongIf(stored, flawOfState(stored, state, this.#verifier.tolerates(stored.sequence))) ??
        (await this.#flawOfDocument(stored));
      if (flaw !== undefined) return flaw;
    }
    return undefined;
  }

  end(): AuditOutcome {
    const report = this.#verifier.end();
    if (report.outcome === 'wrong') return report;
    // A verified ledger has a head.
    const flaw = flawOfHeadItem(this.#head, this.#verifier.head as ChainHead);
    if (flaw !== undefined) return wrong(this.#head.sequence, flaw);
    const checkpoint = this.#verifier.checkpoint(this.#head.checkpoint);
    if (checkpoint !== undefined) return checkpoint;
    return {
      outcome: 'sound',
      entries: report.entries,
      documents: this.#documents,
      documentsPending: this.#documentsPending,
      bytes: this.#bytes,
      confirmations: this.#confirmations,
      headDigest: report.headDigest,
    };
  }

  #flawOfEntry(stored: StoredEntry): Wrong | Finding | undefined {
    const { checkpoint } = stored;
    const finding = this.#verifier.entry(stored);
    if (finding !== undefined) return finding;
    // It has just taken that entry.
    const { sequence, digest } = this.#verifier.head as ChainHead;
    const id = transactionOf(stored)?.transactionId;
    if (!sameLink(stored, { sequence, digest }) || stored.transactionId !== id)
      return wrong(sequence, {
        code: 'STORED_ENTRY_DIFFERS',
        detail:
          `entry ${sequence} comes out to ${digest} with the transaction id ${id}; it is stored as ` +
          `entry ${stored.sequence} with ${stored.digest} and ${stored.transactionId}`,
      });
    return checkpoint === undefined ? undefined : this.#verifier.checkpoint(checkpoint);
  }

  async #flawOfConfirmations(stored: StoredEntry): Promise<Wrong | Finding | undefined> {
    for (const confirmation of await this.#inOrder.of(stored)) {
      const finding =
        this.#verifier.checkpoint(confirmation.checkpoint) ??
        this.#verifier.confirmation(confirmation.statement) ??
        wrongIf(stored, flawOfStoredConfirmation(confirmation));
      if (finding !== undefined) return finding;
      this.#confirmations += 1;
    }
    return undefined;
  }

  async #flawOfDocument(stored: StoredEntry): Promise<Wrong | undefined> {
    const { sequence } = stored;
    const upload = transactionOf(stored);
    if (upload?.type !== 'upload-document') return undefined;
    const bytes = await this.#ports.blobs.get(
      upload.contentDigest,
      generationOf(this.#head, upload.contentDigest),
    );
    if (bytes === undefined) {
      if (await this.#isReplaced(sequence)) return undefined;
      if (this.#fetchedThrough === undefined || sequence <= this.#fetchedThrough)
        return wrong(sequence, bytesMissing(upload));
      this.#documentsPending += 1;
      return undefined;
    }
    const found = await digestOfStream(bytes);
    const flaw = flawOfBytes(upload, found);
    if (flaw !== undefined)
      return (await this.#isReplaced(sequence)) ? undefined : wrong(sequence, flaw);
    this.#documents += 1;
    this.#bytes += found.size;
    return undefined;
  }

  /** The bytes of a version that people replaced are required of nobody. */
  async #isReplaced(sequence: number): Promise<boolean> {
    const mark = supersededKey(sequence);
    const { items } = await this.#ports.store.read(this.#head.registryId, [mark]);
    return items.has(mark);
  }
}

function wrong(sequence: number, { code, detail }: AuditFlaw): Wrong {
  return { outcome: 'wrong', sequence, code, detail };
}

function wrongIf({ sequence }: StoredEntry, flaw: AuditFlaw | undefined): Wrong | undefined {
  return flaw && wrong(sequence, flaw);
}
