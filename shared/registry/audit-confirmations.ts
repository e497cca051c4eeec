import { readConfirmation } from '../ledger/confirmation.ts';
import { ConfirmingPeers } from '../ledger/confirming-peers.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import type { AuditedCopy, AuditRange } from './audit-entries.ts';
import { type AuditFinding, damageAt, type Findings, findingAt } from './audit-finding.ts';
import { flawOfStoredConfirmation } from './audit-flaws.ts';
import { listLinked, type WiderRange } from './audit-place.ts';
import { orDamage } from './or-damage.ts';
import type { Confirmation, LedgerStore } from './ports.ts';
import type { SoundEntries, SoundEntry } from './sound-entries.ts';
import { StoredDamage } from './stored-damage.ts';

/**
 * The stored confirmations of some entries that count, each with the checkpoint that it confirms:
 * those of whoever was a mirror there, as an export has them. How many were held against their
 * entries.
 */
export async function auditConfirmations(
  copy: AuditedCopy,
  entries: SoundEntries,
  { begin, from, through }: WiderRange,
  findings: Findings,
): Promise<number> {
  const peers = peersBefore(entries, begin);
  // What the lists rest on is damaged, which is found already.
  if (peers === undefined) return 0;
  const stored = await confirmationsIn(copy, { from, through }, findings);
  let count = 0;
  for (let sequence = begin; sequence <= through; sequence += 1) {
    const looked = entries.at(sequence);
    const sound = looked?.outcome === 'sound' ? looked : undefined;
    extend(peers, sequence, sound);
    if (sound === undefined) continue;
    for (const confirmation of stored.get(sequence) ?? []) {
      if (!peers.includes(confirmation.signer)) continue;
      findings.add(await flawOfConfirmation(copy, sound, confirmation));
      count += 1;
    }
  }
  return count;
}

function extend(peers: ConfirmingPeers, sequence: number, sound: SoundEntry | undefined): void {
  const transaction = sound?.transaction.transaction;
  const brought = transaction !== undefined && 'peers' in transaction;
  peers.extend(sequence, brought ? transaction.peers : undefined);
  if (sound?.stored.checkpoint !== undefined) peers.endCommit();
}

/** The peer list in force just before the entry; undefined: it cannot be told. */
function peersBefore(entries: SoundEntries, begin: number): ConfirmingPeers | undefined {
  const peers = new ConfirmingPeers();
  if (begin === 1) return peers;
  const looked = entries.at(begin);
  if (looked?.outcome !== 'sound') return undefined;
  const list = listLinked(entries, looked);
  if (list.outcome === 'wrong') return undefined;
  peers.extend(begin - 1, list.configuration.peers);
  return peers;
}

/** Everybody's confirmations of these entries, by entry. */
async function confirmationsIn(
  { store, head: { registryId }, everPeers }: AuditedCopy,
  range: AuditRange,
  findings: Findings,
): Promise<Map<number, Confirmation[]>> {
  const bySequence = new Map<number, Confirmation[]>();
  const read = [...everPeers].map((signer) =>
    orDamage(() => confirmationsOf(store, [registryId, signer], range)),
  );
  for (const found of await Promise.all(read)) {
    if (found instanceof StoredDamage) findings.add(damageAt(range.from, found));
    else
      for (const each of found)
        bySequence.set(each.sequence, [...(bySequence.get(each.sequence) ?? []), each]);
  }
  return bySequence;
}

/** One for each entry and copy of the signer, at most. */
async function confirmationsOf(
  store: LedgerStore,
  [registryId, signer]: readonly [Digest, CertificateId],
  { from, through }: AuditRange,
): Promise<Confirmation[]> {
  const found = new Map<string, Confirmation>();
  let next = from;
  while (next <= through) {
    const page = await store.confirmations(registryId, signer, next, limits.pageMax);
    for (const each of page)
      if (each.sequence <= through) found.set(`${each.sequence}#${each.copy}`, each);
    if (page.length < limits.pageMax) break;
    // The same entry may have more of other copies behind the page's end.
    next = Math.max(next + 1, page.at(-1)?.sequence ?? 0);
  }
  return [...found.values()];
}

async function flawOfConfirmation(
  copy: AuditedCopy,
  { read }: SoundEntry,
  confirmation: Confirmation,
): Promise<AuditFinding | undefined> {
  const { sequence, lead } = read.entry;
  const said = readConfirmation(
    copy.head.registryId,
    confirmation.statement,
    confirmation.checkpoint,
  );
  if (said.outcome === 'refused') return findingAt(sequence, said, [read.digest]);
  const flaw = flawOfStoredConfirmation(confirmation);
  if (flaw !== undefined) return findingAt(sequence, flaw, flaw.digests);
  const { signer } = said.checkpoint.statement;
  if (signer !== lead) {
    const detail = `the checkpoint of a confirmation is signed by ${signer}; the lead is ${lead}`;
    return findingAt(sequence, { code: 'LEAD_DIFFERS', detail }, [read.digest]);
  }
  const { statement } = said.confirmation;
  const { digest } = statement;
  if (statement.sequence === sequence && digest === read.digest) return undefined;
  if (await isOfOlderCopy(copy, sequence, digest)) return undefined;
  const detail =
    `${confirmation.signer} confirms entry ${statement.sequence} with ${digest}; entry ` +
    `${sequence} comes out to ${read.digest}`;
  return findingAt(sequence, { code: 'CHECKPOINT_DIFFERS', detail }, [read.digest, digest]);
}

/** What was confirmed before a set-aside stays stored, also where another branch goes on. */
async function isOfOlderCopy(
  { store, head }: AuditedCopy,
  sequence: number,
  digest: Digest,
): Promise<boolean> {
  for (let copy = head.copy - 1; copy >= 1; copy -= 1) {
    const [older] = await store.entriesAt(head.registryId, copy, [sequence]);
    if (older?.digest === digest) return true;
  }
  return false;
}
