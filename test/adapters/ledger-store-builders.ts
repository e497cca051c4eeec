/** Commits as the rules make them, signed with a real P-256 key, for tests of stores. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { certificateIdOfJwk } from '../../shared/ledger/certificate.ts';
import { type ChainHead, extendHead, nextEntry } from '../../shared/ledger/chain.ts';
import { checkpointOf } from '../../shared/ledger/checkpoint.ts';
import { confirmationOf } from '../../shared/ledger/confirmation.ts';
import { conflictIdOf, conflictOf } from '../../shared/ledger/conflict.ts';
import {
  type CertificateId,
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import { linkTo } from '../../shared/ledger/entry.ts';
import {
  type Compact,
  type PublicKeyJwk,
  type Statement,
  signStatement,
} from '../../shared/ledger/jws.ts';
import type { SetAside } from '../../shared/ledger/resolution.ts';
import {
  mergeChanges,
  type RequestItem,
  rule,
  type StateChange,
  type StateItem,
  type StateKey,
} from '../../shared/ledger/state.ts';
import { type Draft, encodeTransaction, readTransaction } from '../../shared/ledger/transaction.ts';
import type { KeptStatement, OpenedConflict } from '../../shared/registry/conflict-record.ts';
import type {
  CommitWrite,
  Confirmation,
  Head,
  LedgerStore,
  StoredEntry,
} from '../../shared/registry/ports.ts';

export const NOW = '2026-11-22T10:00:00.000Z';

export interface TestPeer {
  readonly id: CertificateId;
  sign(statement: Statement): Compact;
}

export function testPeer(): TestPeer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const jwk = publicKey.export({ format: 'jwk' }) as unknown as PublicKeyJwk;
  return {
    id: certificateIdOfJwk(jwk),
    sign: (statement) => signStatement(statement, privateKey, jwk),
  };
}

/** Key generation is slow enough to share them. */
export const lead = testPeer();
export const mirror = testPeer();
const peers = [lead.id, mirror.id];

export function uploadDraft(documentId: string, version = 1): Draft {
  return {
    type: 'upload-document',
    transactionId: randomUUID(),
    documentId,
    version,
    mediaType: 'application/pdf',
    size: 42,
    contentDigest: digestOf(`${documentId} ${version}`),
  };
}

function proposalOf(draft: Draft) {
  const hasDetails = draft.type !== 'reconfigure-peers';
  const encoded = encodeTransaction(
    draft,
    hasDetails ? { salt: '00'.repeat(16), name: 'Grundriss Erdgeschoß' } : undefined,
  );
  const transaction = readTransaction(encoded.transaction);
  if (transaction.outcome === 'refused') throw new Error(transaction.detail);
  return { transaction, details: encoded.details };
}

/**
 * Makes the commits of one registry, one on top of the other. `commit` only builds; what was stored
 * is told by `stored`, so that several can be built on the same head.
 */
export class TestLedger {
  #head: Head | undefined;
  readonly #writes: CommitWrite[] = [];
  readonly #state = new Map<StateKey, StateItem>();
  readonly #tableId: string;

  constructor(tableId = 'table') {
    this.#tableId = tableId;
  }

  get registryId(): RegistryId {
    return this.head.registryId;
  }

  get head(): Head {
    if (this.#head === undefined) throw new Error('the test stored no commit yet');
    return this.#head;
  }

  /** The commit of entry 1. */
  creation(): CommitWrite {
    return this.commit([{ type: 'create-registry', transactionId: randomUUID(), peers }]);
  }

  /** Uploads of so many new documents. */
  uploads(count: number): CommitWrite {
    return this.commit(Array.from({ length: count }, () => uploadDraft(randomUUID())));
  }

  commit(drafts: readonly Draft[]): CommitWrite {
    const staged = this.#stage(drafts);
    const { chain } = staged;
    const checkpoint = lead.sign(
      checkpointOf({
        registryId: chain.registryId,
        signer: lead.id,
        sequence: chain.sequence,
        digest: chain.digest,
        copy: this.#head?.copy ?? 1,
        issuedAt: NOW,
      }),
    );
    const expected = this.#head === undefined ? {} : { expected: this.#head };
    return {
      registryId: chain.registryId,
      ...expected,
      head: {
        ...chain,
        copy: this.#head?.copy ?? 1,
        checkpoint,
        tableId: this.#tableId,
        conflictsVersion: this.#head?.conflictsVersion ?? 0,
        openConflicts: this.#head?.openConflicts ?? [],
        duties: { [mirror.id]: 'open' },
        everPeers: peers,
      },
      entries: staged.entries.map((entry, index) =>
        index === staged.entries.length - 1 ? { ...entry, checkpoint } : entry,
      ),
      changes: mergeChanges(staged.changes),
    };
  }

  #stage(drafts: readonly Draft[]) {
    const state = new Map(this.#state);
    const entries: StoredEntry[] = [];
    const changes: StateChange[] = [];
    let chain: ChainHead | undefined = this.#head;
    for (const draft of drafts) {
      const { transaction, details } = proposalOf(draft);
      const ruling = rule(
        chain,
        (key) => state.get(key),
        transaction.transaction,
        transaction.digest,
      );
      if (ruling.outcome === 'refused') throw new Error(ruling.detail);
      const read = nextEntry(
        chain,
        {
          transaction: transaction.transaction,
          transactionDigest: transaction.digest,
          resolves: [],
          ...(ruling.subject === undefined ? {} : { subject: ruling.subject }),
        },
        NOW,
      );
      for (const change of ruling.changesAt(linkTo(read))) {
        changes.push(change);
        state.set(change.key, change.after);
      }
      entries.push({
        sequence: read.entry.sequence,
        digest: read.digest,
        entry: Uint8Array.from(read.bytes),
        transactionId: transaction.transaction.transactionId,
        transaction: Uint8Array.from(transaction.bytes),
        ...(details === undefined ? {} : { details: Uint8Array.from(details) }),
      });
      chain = extendHead(chain, read, transaction.transaction);
    }
    if (chain === undefined) throw new Error('a commit has at least one entry');
    return { chain, entries, changes };
  }

  /**
   * Its first commit once more, as the beginning of the next copy. `again` then makes the others,
   * and `commit` new ones.
   */
  beginning(kept?: KeptStatement): CommitWrite {
    const { conflictsVersion, openConflicts, copy } = this.head;
    const write = this.again(0);
    const raised = { conflictsVersion: conflictsVersion + 1, openConflicts, copy: copy + 1 };
    return {
      ...write,
      expected: this.head,
      head: { ...write.head, ...raised },
      ...(kept === undefined ? {} : { kept }),
    };
  }

  /** A stored commit, counted from 0, once more on top of the head. */
  again(index: number): CommitWrite {
    const write = this.#writes[index];
    if (write === undefined) throw new Error(`the test stored no commit ${index}`);
    const { conflictsVersion, openConflicts, copy } = this.head;
    return {
      ...write,
      expected: this.head,
      head: { ...write.head, conflictsVersion, openConflicts, copy },
    };
  }

  /** The commit is in the store: the next one comes on top of it. */
  stored(write: CommitWrite): this {
    if (this.#head !== undefined && write.head.copy > this.#head.copy) this.#state.clear();
    this.#writes.push(write);
    this.#head = write.head;
    for (const { key, after } of write.changes) this.#state.set(key, after);
    return this;
  }

  /** The store's head is another than the last commit's: a conflict was opened on it. */
  moved(head: Head): this {
    this.#head = head;
    return this;
  }
}

/** An open request as the entry of that sequence would make it. */
export function requestItem(sequence: number): RequestItem {
  return {
    entry: { digest: digestOf(`entry ${sequence}`), sequence: sequence as Sequence },
    documentId: 'plan',
    version: 1,
    contentDigest: digestOf('plan 1'),
    purpose: 'approval',
    publicKey: { crv: 'Ed25519', kty: 'OKP', x: 'AAAA' },
  };
}

export function confirmationBy(
  signer: TestPeer,
  registryId: RegistryId,
  sequence: number,
  { digest = digestOf(`entry ${sequence}`), copy = 1 }: { digest?: Digest; copy?: number } = {},
): Confirmation {
  const place = { registryId, sequence: sequence as Sequence, digest };
  const stated = { ...place, copy, signer: signer.id, confirmedAt: NOW };
  return {
    signer: signer.id,
    sequence: place.sequence,
    digest,
    copy,
    confirmedAt: NOW,
    statement: signer.sign(confirmationOf(stated)),
    checkpoint: lead.sign(checkpointOf({ ...place, copy: 1, signer: lead.id, issuedAt: NOW })),
    receivedAt: NOW,
  };
}

export function conflictIn(registryId: RegistryId, sequence: number): OpenedConflict {
  const conflict = conflictOf({
    registryId,
    kind: 'fork',
    sequence: sequence as Sequence,
    digests: [digestOf('one'), digestOf('other')],
    accused: lead.id,
    evidence: [],
    detectedAt: NOW,
    signer: mirror.id,
  });
  return {
    registryId,
    conflictId: conflictIdOf(conflict),
    statement: mirror.sign(conflict),
    recordedAt: NOW,
  };
}

/** A set-aside that an operator decided; `from` tells one from another. */
export function setAsideIn(
  registryId: RegistryId,
  from: number,
  recordedAt = NOW,
): Required<KeptStatement> {
  const operator = testPeer();
  const payload: SetAside = {
    format: 'registry/set-aside/v1',
    registryId,
    signer: mirror.id,
    decidedBy: operator.id,
    reason: 'Die Festplatte war beschädigt',
    conflicts: [digestOf('conflict')],
    copy: 2,
    from: from as Sequence,
  };
  return {
    kind: 'set-aside',
    digest: digestOf(encodeCanonical(payload)),
    statement: mirror.sign(payload),
    decision: operator.sign(payload),
    recordedAt,
  };
}

/** Stores the commit, which must succeed. */
export async function put(
  store: LedgerStore,
  ledger: TestLedger,
  write: CommitWrite,
): Promise<void> {
  const { outcome } = await store.commit(write);
  if (outcome !== 'stored') throw new Error(`the store answers ${outcome}`);
  ledger.stored(write);
}

/** A ledger of entry 1 and as many uploads. */
export async function ledgerIn(store: LedgerStore, uploads = 0): Promise<TestLedger> {
  const ledger = new TestLedger();
  await put(store, ledger, ledger.creation());
  for (let left = uploads; left > 0; left -= 24)
    await put(store, ledger, ledger.uploads(Math.min(left, 24)));
  return ledger;
}
