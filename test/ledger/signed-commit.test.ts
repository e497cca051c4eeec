import { describe, expect, test } from 'vitest';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import {
  type CarriedCommit,
  type CarriedEntry,
  judgeCommit,
} from '../../shared/ledger/signed-commit.ts';
import {
  reconfigurePeers,
  TestLedger,
  type TestPeer,
  testPeers,
  uploadDocument,
} from '../builders.ts';
import { forgeCommit } from '../forged-commit.ts';
import { redactionBy } from '../redacting.ts';
import { carriedAt, textOf } from './disputes.ts';

const [lead, mirror, operator] = testPeers(3) as [TestPeer, TestPeer, TestPeer];
const ledger = new TestLedger([lead, mirror]);
ledger.upload('a');
ledger.upload('b', 'c', 'd');
const { registryId } = ledger;
const right = carriedAt(ledger, 5);

function judge(commit: CarriedCommit): string {
  const judged = judgeCommit(registryId, commit);
  if (judged.outcome === 'malformed') return `malformed ${judged.refused.code}`;
  if (judged.flaw === undefined) return `sound from ${judged.first}: ${judged.entries.length}`;
  return `flawed ${judged.flaw.sequence} ${judged.flaw.refused.code}`;
}

function withEntry(index: number, changes: Partial<CarriedEntry>): CarriedCommit {
  const entries = right.entries.map((entry, at) =>
    at === index ? { ...entry, ...changes } : entry,
  );
  return { ...right, entries };
}

/** One entry over these bytes, signed by the lead. */
function signedOver(transaction: string, changes: { details?: string } = {}): CarriedCommit {
  const transactionDigest: Digest = digestOf(transaction);
  const made = forgeCommit(lead, ledger.head, [uploadDocument()], { transactionDigest });
  const { entry } = made.commit.entries[0] as CarriedEntry;
  return { ...made.commit, entries: [{ entry, transaction, ...changes }] };
}

describe('a commit', () => {
  test('is judged entry by entry, down from its checkpoint', () => {
    const judged = judgeCommit(registryId, right);

    expect(judge(right)).toBe('sound from 3: 3');
    expect(judged).toMatchObject({
      checkpoint: { statement: { sequence: 5 } },
      entries: [3, 4, 5].map((sequence) => ({ read: { entry: { sequence } } })),
    });
  });

  test('may be brought in part, from its end', () => {
    expect(judge({ ...right, entries: right.entries.slice(1) })).toBe('sound from 4: 2');
  });

  test('is nobody’s word where no checkpoint reaches it', () => {
    const foreign = new TestLedger([lead, mirror]);
    const gap = [right.entries[0], right.entries[2]] as CarriedEntry[];
    const tooMany = [right.entries[0] as CarriedEntry, ...carriedAt(ledger, 1).entries];

    expect(judge({ ...right, checkpoint: 'a.b.c' })).toBe('malformed STATEMENT_MALFORMED');
    expect(judge(carriedAt(foreign, 1))).toBe('malformed STATEMENT_REGISTRY_DIFFERS');
    expect(judge({ ...right, entries: gap })).toBe('malformed CHECKPOINT_DIFFERS');
    expect(judge({ ...carriedAt(ledger, 1), entries: tooMany })).toBe(
      'malformed CHECKPOINT_DIFFERS',
    );
    expect(judge(withEntry(0, { entry: '{}' }))).toBe('malformed CHECKPOINT_DIFFERS');
    expect(judge(withEntry(1, { transaction: '{}' }))).toBe('malformed TRANSACTION_DIGEST_DIFFERS');
    expect(judge(withEntry(1, { details: '{}' }))).toBe('malformed SCHEMA_VIOLATION');
  });

  test('reaches no further than entry 1', () => {
    const { checkpoint, entries } = carriedAt(ledger, 1);

    expect(judge({ checkpoint, entries: [...entries, ...entries] })).toMatch(/^malformed/);
  });

  test('is the lead’s word where the checkpoint reaches what is wrong', () => {
    const upload = uploadDocument();
    const elsewhere = forgeCommit(lead, ledger.head, [upload], { registryId: digestOf('other') });
    const skipped = forgeCommit(lead, ledger.head, [upload], { sequence: 9 as Sequence });
    const form = forgeCommit(lead, ledger.head, [upload], { timestamp: 'yesterday' });

    expect(judge(form.commit)).toBe('flawed 6 SCHEMA_VIOLATION');
    expect(judge(skipped.commit)).toBe('flawed 6 SEQUENCE_NOT_NEXT');
    expect(judge(elsewhere.commit)).toBe('flawed 6 REGISTRY_DIFFERS');
    expect(judge(signedOver('{"a": 1}'))).toBe('flawed 6 NOT_CANONICAL');
  });

  test('is the lead’s word where the transaction binds wrong details', () => {
    const details = '{"format":"registry/details/v1"}';
    const upload = textOf(uploadDocument('x', { detailsDigest: digestOf(details) }).transaction);
    const bound = upload.replace(/"detailsDigest":"\w+"/, `"detailsDigest":"${digestOf(details)}"`);

    expect(judge(signedOver(bound, { details }))).toBe('flawed 6 SCHEMA_VIOLATION');
    expect(judge(signedOver(bound))).toBe('malformed DETAILS_MISSING');
    expect(judge(signedOver(textOf(reconfigurePeers([lead]).transaction), { details }))).toBe(
      'malformed DETAILS_NOT_EXPECTED',
    );
  });

  test('may have a redaction in place of details; a wrong one accuses nobody', () => {
    const place = { registryId, sequence: 4 as Sequence };
    const [entry] = right.entries.slice(1) as [CarriedEntry];
    const bare = { entry: entry.entry, transaction: entry.transaction };
    const redacted = (redaction: CarriedEntry['redaction'] & object) => {
      const entries = [...right.entries];
      entries[1] = { ...bare, redaction };
      return judge({ ...right, entries });
    };

    expect(redacted(redactionBy(mirror, operator, place))).toBe('sound from 3: 3');
    expect(redacted(redactionBy(mirror, operator, { ...place, sequence: 5 as Sequence }))).toBe(
      'malformed REDACTION_DIFFERS',
    );
  });
});
