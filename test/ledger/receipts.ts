/** Builds receipts from test ledgers by other code than the one that issues them. */
import { createPublicKey } from 'node:crypto';
import { backlinkPath } from '../../shared/ledger/backlinks.ts';
import type { CertificateId } from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { buildReceipt, type ReceiptParts } from '../../shared/ledger/receipt.ts';
import { type ReceiptTrust, verifyReceipt } from '../../shared/ledger/verify-receipt.ts';
import type { Confirmation, StoredEntry } from '../../shared/registry/ports.ts';
import {
  payloadOfCompact,
  readTestTransaction,
  type TestLedger,
  type TestPeer,
} from '../builders.ts';
import {
  type CertificateShape,
  type TestAuthority,
  type TestCertificate,
  testAuthority,
  testInstance,
} from '../certificate-authority.ts';

/** A cluster's CA that issues one certificate to each peer. */
export class TestCluster {
  readonly authority: TestAuthority;
  readonly #certificates = new Map<CertificateId, TestCertificate>();

  constructor(authority = testAuthority()) {
    this.authority = authority;
  }

  /** The peer's certificate, of that shape where it is the first time that it is asked for. */
  certificate(peer: TestPeer, shape: CertificateShape = {}): TestCertificate {
    const found = this.#certificates.get(peer.certificateId);
    const certificate = found ?? certificateFor(this.authority, peer, shape);
    this.#certificates.set(peer.certificateId, certificate);
    return certificate;
  }

  trust(ledger: TestLedger): ReceiptTrust {
    return { clusterCaPem: this.authority.certificatePem, registryId: ledger.registryId };
  }
}

/** Another certificate of the peer's key. */
export function certificateFor(
  authority: TestAuthority,
  { key }: TestPeer,
  shape: CertificateShape = {},
): TestCertificate {
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const own = { privateKey: key, publicKey: createPublicKey(key), pem };
  return testInstance(authority, 'https://instance.example', { ...shape, key: own });
}

/** What the receipt of an entry is made of; `since` where it is final since that later list. */
export function partsOf(
  cluster: TestCluster,
  ledger: TestLedger,
  sequence: number,
  since?: number,
): ReceiptParts {
  const stored = ledger.entryAt(sequence);
  const lists = ledger.entries.filter((each) => peersIn(each) !== undefined);
  const before = lists.filter((each) => each.sequence < sequence);
  const after = lists.filter((each) => each.sequence > sequence && each.sequence <= (since ?? 0));
  const checkpointed = checkpointedFrom(ledger, sequence);
  const own = peersIn(stored) ?? peersIn(before.at(-1)) ?? [];
  const confirmed = own.slice(1).flatMap((peer) => firstOf(ledger, peer, sequence) ?? []);
  const last = after.at(-1);
  const laterEnd = last && checkpointedFrom(ledger, last.sequence);
  const enough = confirmed.filter((each) => each.sequence >= (since ?? 0));
  const others = (peersIn(last) ?? [])
    .slice(1)
    .filter((peer) => enough.every(({ signer }) => signer !== peer))
    .flatMap((peer) => firstOf(ledger, peer, since ?? 0) ?? []);
  const ends = [checkpointed, laterEnd, ...confirmed, ...others].flatMap((each) => each ?? []);
  const ways = new Set(ends.flatMap((each) => way(each.sequence, sequence, since)));
  for (const held of [stored, ...before, ...after]) ways.delete(held.sequence);
  const chain = lists.filter((each) => each.sequence <= Math.max(sequence, since ?? 0));
  const handOvers = chain.filter(
    (each, index) =>
      each !== stored && each !== last && index > 0 && leadIn(each) !== leadIn(chain[index - 1]),
  );
  const statements = (some: readonly Confirmation[]) => some.map(({ statement }) => statement);
  const parts = {
    ...contentOf(stored),
    checkpoint: checkpointIn(checkpointed),
    configurations: before.map(bare),
    handOvers: handOvers.map(checkpointIn),
    confirmations: statements(confirmed),
    ...(laterEnd === undefined
      ? {}
      : {
          later: {
            checkpoint: checkpointIn(laterEnd),
            configurations: after.map(bare),
            confirmations: statements(others),
          },
        }),
    path: [...ways].map((each) => ledger.entryAt(each).entry),
  };
  return { ...parts, certificates: certificatesFor(cluster, ledger, parts) };
}

/** DER of everybody who signed something in the parts. */
export function certificatesFor(
  cluster: TestCluster,
  ledger: TestLedger,
  parts: Omit<ReceiptParts, 'certificates'>,
): Buffer[] {
  const { later, redaction } = parts;
  const compacts = [
    parts.checkpoint,
    ...parts.handOvers,
    ...parts.confirmations,
    ...(later === undefined ? [] : [later.checkpoint, ...later.confirmations]),
    ...(redaction === undefined ? [] : [redaction.statement]),
  ];
  const signers = compacts.map((compact) => payloadOfCompact(compact)['signer'] as CertificateId);
  return [...new Set(signers)].map((id) => cluster.certificate(ledger.peer(id)).der);
}

function contentOf({ entry, transaction, details, redaction }: StoredEntry) {
  return {
    entry,
    transaction,
    ...(details === undefined ? {} : { details }),
    ...(redaction === undefined ? {} : { redaction }),
  };
}

function bare({ entry, transaction }: StoredEntry) {
  return { entry, transaction };
}

function peersIn(stored: StoredEntry | undefined): readonly CertificateId[] | undefined {
  if (stored === undefined) return undefined;
  const { transaction } = readTestTransaction({ transaction: Buffer.from(stored.transaction) });
  return 'peers' in transaction ? transaction.peers : undefined;
}

function leadIn(stored: StoredEntry | undefined): CertificateId | undefined {
  return peersIn(stored)?.[0];
}

function checkpointedFrom(ledger: TestLedger, sequence: number): StoredEntry {
  const found = ledger.entries.find(
    (each) => each.sequence >= sequence && each.checkpoint !== undefined,
  );
  if (found === undefined) throw new Error(`no checkpoint from entry ${sequence} on`);
  return found;
}

function checkpointIn({ checkpoint, sequence }: StoredEntry): Compact {
  if (checkpoint === undefined) throw new Error(`no checkpoint at entry ${sequence}`);
  return checkpoint;
}

function firstOf(
  ledger: TestLedger,
  peer: CertificateId,
  sequence: number,
): Confirmation | undefined {
  return ledger.confirmations
    .filter((each) => each.signer === peer && each.sequence >= sequence)
    .sort((a, b) => a.sequence - b.sequence)[0];
}

function way(from: number, sequence: number, since: number | undefined): number[] {
  return since === undefined || from < since
    ? backlinkPath(from, sequence)
    : [...backlinkPath(from, since), ...backlinkPath(since, sequence)];
}

/** Verifies the receipt of these parts with the cluster's CA and the registry's id. */
export function verifyParts(cluster: TestCluster, ledger: TestLedger, parts: ReceiptParts) {
  return verifyReceipt(buildReceipt(parts), cluster.trust(ledger));
}

/** The same for the receipt of an entry as it is. */
export function verified(
  cluster: TestCluster,
  ledger: TestLedger,
  sequence: number,
  since?: number,
) {
  return verifyParts(cluster, ledger, partsOf(cluster, ledger, sequence, since));
}
