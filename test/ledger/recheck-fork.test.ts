import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkpointOf } from '../../shared/ledger/checkpoint.ts';
import type { ConflictStatement } from '../../shared/ledger/conflict.ts';
import {
  type CertificateId,
  type Digest,
  digestOf,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import { encodeEvidence, type ForkChain, readEvidence } from '../../shared/ledger/evidence.ts';
import { type KnownBeside, NOTHING_BESIDE } from '../../shared/ledger/known-beside.ts';
import { type Rechecked, recheckEvidence } from '../../shared/ledger/recheck-evidence.ts';
import { branchesOf, copiesOf } from '../../shared/ledger/recheck-fork.ts';
import { TestLedger, type TestPeer, testPeers, uploadDocument } from '../builders.ts';
import { forgeCommit } from '../forged-commit.ts';
import { chainDown, checkpointAt, forkAt, headAt, linkOf, reported, textOf } from './disputes.ts';

const [lead, finder, other] = testPeers(3) as [TestPeer, TestPeer, TestPeer];
const ledger = new TestLedger([lead, finder, other]);
for (const documentId of ['a', 'b', 'c', 'd', 'e', 'f']) ledger.upload(documentId);
const { registryId } = ledger;
const accused = lead.certificateId;

/** What the lead tells somebody else from entry 5 on: three entries in one commit. */
const uploads = ['x', 'y', 'z'].map((documentId) => uploadDocument(documentId));
const told = forgeCommit(lead, headAt(ledger, 4), uploads);
const { evidence, digests } = forkAt(ledger, 5, told);
const conflict = reported(finder, evidence, { accused, digests });
const [kept, forged] = evidence.chains;

function recheck(chains: readonly ForkChain[], changes: Partial<ConflictStatement> = {}) {
  const [one, two] = chains as [ForkChain, ForkChain];
  const { sequence = conflict.sequence } = changes;
  return recheckEvidence(
    { ...conflict, ...changes },
    { ...evidence, sequence, chains: [one, two] },
  );
}

function outcomeOf(rechecked: Rechecked): string {
  if (rechecked.outcome === 'reproduced') return rechecked.outcome;
  return `${rechecked.code} ${rechecked.detail}`;
}

const notReproduced = (detail: string) =>
  expect.stringContaining(`EVIDENCE_NOT_REPRODUCED ${detail}`);

/** A commit of one entry at the head, with other members. */
function forgedTop(changes: Parameters<typeof forgeCommit>[3], head = ledger.head) {
  const top = forgeCommit(lead, head, [uploadDocument('top')], changes);
  const { entry } = top.commit.entries[0] as { entry: string };
  return { checkpoint: top.commit.checkpoint, path: [entry] };
}

describe('a fork', () => {
  test('is reproduced from two chains that the lead signed for one place', () => {
    expect(recheck([kept, forged])).toEqual({
      outcome: 'reproduced',
      proves: 'lead',
      finding: `signed two different entries 5: ${conflict.digests.join(' and ')}`,
    });
    expect(outcomeOf(recheck([forged, kept]))).toBe('reproduced');
  });

  test('says what each chain gives the place; of an unsound one nothing', () => {
    const [one, two] = digests;
    const broken = { ...forged, path: ['{}'] };

    expect(branchesOf(conflict, evidence).map((each) => each.digests)).toEqual([[one], [two]]);
    expect(branchesOf(conflict, { ...evidence, chains: [kept, broken] })).toHaveLength(1);
  });

  test('is reproduced where a link names the place', () => {
    const named = { ...forged, path: forged.path.slice(0, -1) };

    expect(outcomeOf(recheck([kept, named]))).toBe('reproduced');
  });

  test('is reproduced where the checkpoints themselves are about the place', () => {
    const short = forgeCommit(lead, headAt(ledger, 4), uploads.slice(0, 1));
    const chains = [chainDown(ledger, 5, 5), { checkpoint: short.commit.checkpoint, path: [] }];

    expect(outcomeOf(recheck(chains))).toBe('reproduced');
  });

  test('is reproduced where the link to the peer list names the place', () => {
    const wrong = { sequence: 1 as Sequence, digest: digestOf('another list') };
    const chains = [chainDown(ledger, 7, 1), forgedTop({ configuration: wrong })];
    const place = { sequence: wrong.sequence, digests: [ledger.entryAt(1).digest, wrong.digest] };

    expect(outcomeOf(recheck(chains, place))).toBe('reproduced');
  });

  test('is reproduced where the links of one entry contradict each other', () => {
    const wrong = { sequence: 1 as Sequence, digest: digestOf('another list') };
    const chain = forgedTop({ configuration: wrong }, headAt(ledger, 1) as typeof ledger.head);
    const place = { sequence: wrong.sequence, digests: [ledger.entryAt(1).digest, wrong.digest] };

    expect(outcomeOf(recheck([chain, chain], place))).toBe('reproduced');
  });

  test('is reproduced with the confirmation of whoever told it', () => {
    const confirmation = ledger.confirm(finder).statement;

    expect(outcomeOf(recheck([{ ...kept, confirmation }, forged]))).toBe('reproduced');
  });

  test('is not reproduced by the link of a subject, which a voided entry may hold', () => {
    const subject = { sequence: 5 as Sequence, digest: digests[1] };

    expect(outcomeOf(recheck([kept, forgedTop({ subject })]))).toEqual(
      notReproduced('a chain does not lead to entry 5'),
    );
  });

  test('is not reproduced by a link upwards', () => {
    const above = { sequence: 9 as Sequence, digest: digestOf('above') };
    const chain = forgedTop({ backlinks: [above] });

    expect(outcomeOf(recheck([chain, chain], { sequence: above.sequence }))).toEqual(
      notReproduced('a chain does not lead to entry 9'),
    );
  });

  test('is none where both chains say the same', () => {
    expect(outcomeOf(recheck([kept, kept]))).toEqual(notReproduced('for entry 5 the chains lead'));
  });

  test.each<[string, readonly Digest[]]>([
    ['one digest', [digests[0]]],
    ['twice the same', [digests[0], digests[0]]],
    ['a third digest', [...digests, digestOf('third')]],
    ['another digest', [digests[0], digestOf('third')]],
  ])('is not what a statement with %s claims', (_what, claimed) => {
    expect(outcomeOf(recheck([kept, forged], { digests: [...claimed] }))).toEqual(
      notReproduced('for entry 5 the chains lead'),
    );
  });

  test('is nobody else’s than the accused’s', () => {
    const byOther = forgeCommit(other, headAt(ledger, 4), uploads);
    const { checkpoint } = byOther.commit;

    expect(outcomeOf(recheck([kept, { ...forged, checkpoint }]))).toEqual(
      notReproduced(`a checkpoint is of ${other.certificateId}`),
    );
    expect(outcomeOf(recheck([kept, forged], { accused: other.certificateId }))).toEqual(
      notReproduced(`a checkpoint is of ${accused}`),
    );
  });

  test('is within one registry', () => {
    const elsewhere = new TestLedger([lead, finder]);
    for (const documentId of ['a', 'b', 'c', 'd']) elsewhere.upload(documentId);
    const foreign = forgedTop({ registryId: elsewhere.registryId });

    expect(outcomeOf(recheck([kept, chainDown(elsewhere, 5, 5)]))).toEqual(
      notReproduced('a checkpoint is of'),
    );
    expect(outcomeOf(recheck([kept, foreign]))).toEqual(
      notReproduced(`entry 8 is of the registry ${elsewhere.registryId}`),
    );
  });

  test('needs every entry on the way', () => {
    const gap = { ...kept, path: kept.path.slice(1) };
    const beyond = { ...forged, path: [...forged.path, textOf(ledger.entryAt(3).entry)] };
    const broken = { ...kept, path: [`${kept.path[0]} `] };
    const astray = { checkpoint: checkpointAt(ledger, 7), path: [] };

    expect(outcomeOf(recheck([gap, forged]))).toEqual(
      notReproduced(`entry 6 with ${linkOf(ledger.entryAt(6)).digest} is not named`),
    );
    expect(outcomeOf(recheck([kept, beyond]))).toEqual(notReproduced('entry 3 with'));
    expect(outcomeOf(recheck([broken, forged]))).toEqual(notReproduced('an entry: NOT_CANONICAL'));
    expect(outcomeOf(recheck([astray, forged]))).toEqual(
      notReproduced('a chain does not lead to entry 5'),
    );
  });

  test('needs the right signatures', () => {
    const confirmation = ledger.confirm(finder, { digest: digestOf('other') }).statement;
    const unsigned = { ...forged, checkpoint: forged.checkpoint.slice(0, -4) };

    expect(outcomeOf(recheck([kept, unsigned]))).toEqual(notReproduced('a checkpoint: STATEMENT_'));
    expect(outcomeOf(recheck([{ ...kept, confirmation }, forged]))).toEqual(
      notReproduced('a confirmation: CHECKPOINT_DIFFERS'),
    );
  });

  test('is not reproduced with any bit of its evidence changed', () => {
    const bytes = encodeEvidence({
      ...evidence,
      chains: [{ ...kept, confirmation: ledger.confirm(finder).statement }, forged],
    });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ (1 << bit);
        const read = readEvidence(changed);

        expect(
          read.outcome === 'refused' ? read : recheckEvidence(conflict, read.evidence),
        ).toMatchObject({ outcome: 'refused' });
      }),
      { numRuns: 500 },
    );
  });
});

describe('a fork across two copies of the lead', () => {
  const everPeers = new Set([lead, finder, other].map(({ certificateId }) => certificateId));
  const confirmation = ledger.confirm(finder).statement;
  const held = { ...kept, confirmation };
  const later = forgedOf(3);
  const [digest] = conflict.digests as [Digest, Digest];

  /** What the lead told somebody else, as if it had begun that copy. */
  function forgedOf(copy: number): ForkChain {
    const { digest, sequence } = told.chain;
    const issuedAt = '2026-11-22T10:00:00.000Z';
    const signed = checkpointOf({ registryId, sequence, digest, signer: accused, copy, issuedAt });
    return { ...forged, checkpoint: lead.sign(signed) };
  }

  function across(
    chains: readonly [ForkChain, ForkChain],
    takeBacks: KnownBeside['takeBacks'],
    peers: ReadonlySet<CertificateId> = everPeers,
  ): string {
    const known = { ...NOTHING_BESIDE, takeBacks, everPeers: peers };
    const rechecked = recheckEvidence(conflict, { ...evidence, chains: [...chains] }, known);
    return rechecked.outcome === 'reproduced' ? rechecked.finding : rechecked.code;
  }

  test('is one where no take-back of it is known, and says so', () => {
    const unknown =
      /^signed two different entries 5: .*, in its copies 1 and 3; no take-back is kn/;

    expect(across([kept, later], [])).toMatch(unknown);
    expect(across([later, kept], [{ signer: other.certificateId }])).toMatch(unknown);
  });

  test.each([undefined, 2, 3])('is none where one lies between, with copy %s', (copy) => {
    const takeBack = { signer: accused, ...(copy === undefined ? {} : { copy }) };

    expect(across([kept, later], [takeBack])).toBe('EVIDENCE_NOT_REPRODUCED');
    expect(across([later, kept], [takeBack])).toBe('EVIDENCE_NOT_REPRODUCED');
    expect(
      outcomeOf(
        recheckEvidence(conflict, across13(), { ...NOTHING_BESIDE, takeBacks: [takeBack] }),
      ),
    ).toEqual(
      notReproduced('the checkpoints are of the copies 1 and 3: a take-back of the accused lies'),
    );
  });

  const across13 = () => ({ ...evidence, chains: [kept, later] as [ForkChain, ForkChain] });

  test.each([1, 4])('is one where the take-back led to copy %s', (copy) => {
    expect(across([kept, later], [{ signer: accused, copy }])).toContain('no take-back is known');
  });

  test('is one all the same where a peer had confirmed the older', () => {
    const proven = `in its copies 1 and 3; ${finder.certificateId} confirmed that of the older`;

    expect(across([held, later], [{ signer: accused, copy: 2 }])).toContain(proven);
    expect(across([later, held], [{ signer: accused, copy: 2 }])).toContain(proven);
  });

  test('is none by a confirmation of the newer, of the accused, or of a stranger', () => {
    const takeBack = [{ signer: accused, copy: 2 }];
    const own = { ...kept, confirmation: ledger.confirm(lead).statement };
    const { sequence, digest: top } = told.chain;
    const newer = {
      ...later,
      confirmation: ledger.confirm(finder, { sequence, digest: top }).statement,
    };

    expect(across([own, later], takeBack)).toBe('EVIDENCE_NOT_REPRODUCED');
    expect(across([kept, newer], takeBack)).toBe('EVIDENCE_NOT_REPRODUCED');
    expect(across([held, later], takeBack, new Set([accused]))).toBe('EVIDENCE_NOT_REPRODUCED');
  });

  test('is none where the chains do not say what is claimed', () => {
    const claimed = { ...conflict, digests: [digest, digestOf('third')] };

    expect(outcomeOf(recheckEvidence(claimed, across13()))).toEqual(
      notReproduced('for entry 5 the chains lead'),
    );
  });

  test('shows of which copies it is, where both checkpoints are some', () => {
    const broken = { ...kept, checkpoint: kept.checkpoint.slice(0, -4) };

    expect(copiesOf(across13())).toEqual([1, 3]);
    expect(copiesOf({ ...evidence, chains: [broken, later] })).toBeUndefined();
    expect(copiesOf({ ...evidence, chains: [later, broken] })).toBeUndefined();
  });
});
