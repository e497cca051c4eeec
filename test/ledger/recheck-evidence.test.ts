import { describe, expect, test } from 'vitest';
import { type ConflictStatement, conflictKindSchema } from '../../shared/ledger/conflict.ts';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { Evidence, EvidenceOf } from '../../shared/ledger/evidence.ts';
import {
  expectedAccused,
  type Rechecked,
  recheckEvidence,
} from '../../shared/ledger/recheck-evidence.ts';
import {
  TestLedger,
  type TestPeer,
  testPeer,
  testPeers,
  timeAfter,
  uploadDocument,
} from '../builders.ts';
import { forgeCommit } from '../forged-commit.ts';
import { carriedAt, checkpointAt, reported, textOf } from './disputes.ts';

const [lead, finder] = testPeers(2) as [TestPeer, TestPeer];
const ledger = new TestLedger([lead, finder]);
const plan = uploadDocument('plan-1');
ledger.commit([plan]);
ledger.upload('plan-2');
const { registryId } = ledger;
const format = 'registry/evidence/v1';

function recheck(
  evidence: Evidence,
  parts: Partial<ConflictStatement> & { readonly accused: ConflictStatement['accused'] },
): Rechecked {
  return recheckEvidence(reported(finder, evidence, { digests: [], ...parts }), evidence);
}

function outcomeOf(rechecked: Rechecked): string {
  if (rechecked.outcome === 'reproduced') return `${rechecked.proves}: ${rechecked.finding}`;
  return `${rechecked.code} ${rechecked.detail}`;
}

const tampering: EvidenceOf<'local-tampering'> = {
  format,
  kind: 'local-tampering',
  registryId,
  sequence: 2,
  detail: 'entry 2 comes out to another digest',
};

describe('evidence of any kind', () => {
  const accused = finder.certificateId;
  const conflict = reported(finder, tampering, { accused, digests: [] });

  test.each<[string, Partial<ConflictStatement>]>([
    ['kind', { kind: 'lead-rollback' }],
    ['registry', { registryId: digestOf('other') }],
    ['entry', { sequence: 3 as Sequence }],
  ])('of another %s than the statement’s is refused', (_what, changes) => {
    expect(recheckEvidence({ ...conflict, ...changes }, tampering)).toMatchObject({
      code: 'EVIDENCE_NOT_REPRODUCED',
    });
  });

  test.each(conflictKindSchema.options)('accuses whom a %s can accuse', (kind) => {
    const wrong = {
      lead: 'open',
      open: finder.certificateId,
      signer: lead.certificateId,
    } as const;
    const statement = { ...conflict, kind, accused: wrong[expectedAccused(kind)] };

    expect(recheckEvidence(statement, { ...tampering, kind } as Evidence)).toMatchObject({
      code: 'ACCUSED_DIFFERS',
    });
  });
});

describe('tampering with one’s own copy', () => {
  test('is the word of whoever found it, in quotes', () => {
    expect(outcomeOf(recheck(tampering, { accused: finder.certificateId }))).toBe(
      'nothing-about-others: "entry 2 comes out to another digest"',
    );
  });
});

describe('deliveries that do not come out to their checkpoint', () => {
  const right = carriedAt(ledger, 3);
  const wrong = { ...right, entries: carriedAt(ledger, 2).entries };
  const evidence = (...deliveries: (typeof right)[]): EvidenceOf<'digest-mismatch'> => ({
    format,
    kind: 'digest-mismatch',
    registryId,
    sequence: 3,
    deliveries,
  });
  const outcome = (...deliveries: (typeof right)[]) =>
    outcomeOf(recheck(evidence(...deliveries), { accused: 'open' }));

  test('are the word of whoever received them', () => {
    expect(outcome(right, wrong)).toBe(
      'nothing-about-others: received what does not come out to the checkpoint of entry 3 by ' +
        `${lead.certificateId}: "entry 3 comes out to ${ledger.entryAt(2).digest}; its ` +
        `checkpoint leads to ${ledger.entryAt(3).digest}"`,
    );
  });

  test('are none where all are right, of another registry, or signed by nobody', () => {
    const other = new TestLedger([lead, finder]);

    expect(outcome(right)).toMatch(/^EVIDENCE_NOT_REPRODUCED the evidence holds no delivery/);
    expect(outcome(carriedAt(other, 1))).toMatch(/^EVIDENCE_NOT_REPRODUCED/);
    expect(outcome({ ...wrong, checkpoint: 'a.b.c' })).toMatch(/^EVIDENCE_NOT_REPRODUCED/);
  });
});

describe('bytes that nobody has', () => {
  const contentDigest = digestOf(plan.content as Buffer);
  const { entry, transaction } = ledger.entryAt(2);
  const evidence: EvidenceOf<'document-mismatch'> = {
    format,
    kind: 'document-mismatch',
    registryId,
    sequence: 2,
    since: timeAfter(0),
    sources: [
      { peer: lead.certificateId, found: 'digest-differs' },
      { peer: finder.certificateId, found: 'not "held"' },
    ],
    upload: { entry: textOf(entry), transaction: textOf(transaction) },
  };
  const outcome = (
    changes: Partial<EvidenceOf<'document-mismatch'>['upload']> = {},
    digests: readonly Digest[] = [contentDigest],
  ) => {
    const upload = { ...evidence.upload, ...changes };
    return outcomeOf(recheck({ ...evidence, upload }, { accused: 'open', digests: [...digests] }));
  };

  test('are the word of whoever asked for them', () => {
    expect(outcome()).toBe(
      `nothing-about-others: since ${timeAfter(0)} got the bytes ${contentDigest} from nobody ` +
        `(${lead.certificateId}: "digest-differs", ${finder.certificateId}: "not \\"held\\"")`,
    );
  });

  test('are those of an upload of that entry', () => {
    const first = ledger.entryAt(1);
    const foreign = new TestLedger([lead, finder]);
    foreign.commit([plan]);
    const broken = forgeCommit(lead, ledger.commits[0]?.write.head, [plan], {
      transactionDigest: digestOf('{}'),
    }).commit.entries[0] as { entry: string };

    expect(outcome({ entry: '{}' })).toMatch(/holds a broken entry: /);
    expect(outcome({ entry: textOf(first.entry) })).toMatch(/holds entry 1 of the registry/);
    expect(outcome({ entry: textOf(foreign.entryAt(2).entry) })).toMatch(/holds entry 2 of the/);
    expect(outcome({ transaction: textOf(first.transaction) })).toMatch(/another transaction/);
    expect(outcome({ entry: broken.entry, transaction: '{}' })).toMatch(/a broken transaction: /);
    expect(outcome({}, [digestOf('other')])).toMatch(/type upload-document, without the bytes/);
  });

  test('are not asked for by other transactions', () => {
    const other = new TestLedger([lead, finder]);
    other.reconfigure(lead);
    const { entry: changed, transaction: list } = other.entryAt(2);
    const upload = { entry: textOf(changed), transaction: textOf(list) };
    const about = { ...evidence, registryId: other.registryId, upload };

    expect(outcomeOf(recheck(about, { accused: 'open' }))).toMatch(
      /type reconfigure-peers, without/,
    );
  });
});

describe('a lead that was restored', () => {
  const accused = finder.certificateId;
  const { sequence, digest } = ledger.entryAt(3);
  const head = { sequence: 2 as Sequence, digest: ledger.entryAt(2).digest };
  const evidence: EvidenceOf<'lead-rollback'> = {
    format,
    kind: 'lead-rollback',
    registryId,
    sequence,
    head,
    detail: 'holds only 2 entries',
  };
  const outcome = (
    changes: Partial<EvidenceOf<'lead-rollback'>>,
    parts: Partial<ConflictStatement> = {},
  ) => {
    const digests = [digest];
    return outcomeOf(recheck({ ...evidence, ...changes }, { accused, digests, ...parts }));
  };

  test('says so itself, with its checkpoint above its head, or without one', () => {
    const checkpoint = checkpointAt(ledger, 3);

    expect(outcome({ checkpoint })).toBe('nothing-about-others: "holds only 2 entries"');
    expect(outcome({})).toBe('nothing-about-others: "holds only 2 entries"');
  });

  test('shows the very checkpoint that it claims', () => {
    const checkpoint = checkpointAt(ledger, 3);
    const other = new TestLedger([lead, testPeer()]);
    for (const each of ['a', 'b']) other.upload(each);

    expect(outcome({ checkpoint: 'a.b.c' })).toMatch(/holds a bad checkpoint/);
    expect(outcome({ checkpoint: checkpointAt(ledger, 2) })).toMatch(/checkpoint of entry 2/);
    expect(outcome({ checkpoint: checkpointAt(other, 3) })).toMatch(/checkpoint of entry 3/);
    expect(outcome({ checkpoint, head: { digest, sequence } })).toMatch(/above entry 3/);
    expect(outcome({ checkpoint }, { digests: [digestOf('x')] })).toMatch(/checkpoint of entry 3/);
  });
});
