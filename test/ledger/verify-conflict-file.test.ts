import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkpointOf } from '../../shared/ledger/checkpoint.ts';
import { type ConflictStatement, conflictIdOf } from '../../shared/ledger/conflict.ts';
import { type ConflictFileParts, encodeConflictFile } from '../../shared/ledger/conflict-file.ts';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { type Evidence, encodeEvidence } from '../../shared/ledger/evidence.ts';
import { type Compact, readStatement } from '../../shared/ledger/jws.ts';
import { type Resolution, resolutionSchema } from '../../shared/ledger/resolution.ts';
import {
  type VerifiedConflictFile,
  verifyConflictFile,
} from '../../shared/ledger/verify-conflict-file.ts';
import { TestLedger, type TestPeer, testPeers, timeAfter, uploadDocument } from '../builders.ts';
import { testApplication, testAuthority } from '../certificate-authority.ts';
import { forgeCommit } from '../forged-commit.ts';
import { carriedAt, forkAt, headAt, invalidEvidence, linkOf, reported } from './disputes.ts';
import { certificateFor, TestCluster } from './receipts.ts';

const [lead, finder, witness, operator, stranger] = testPeers(5) as [
  TestPeer,
  TestPeer,
  TestPeer,
  TestPeer,
  TestPeer,
];
const cluster = new TestCluster();

/** Led by `witness` to entry 2, and by `lead` from there on. */
const ledger = new TestLedger([lead, finder, witness], [witness, finder]);
ledger.reconfigure(lead, finder, witness);
for (const documentId of ['a', 'b', 'c']) ledger.upload(documentId);
const { registryId } = ledger;
const accused = lead.certificateId;

const told = forgeCommit(lead, headAt(ledger, 3), [uploadDocument('x'), uploadDocument('y')]);
const fork = forkAt(ledger, 4, told);
const conflict = reported(finder, fork.evidence, { accused, digests: fork.digests });
const conflictId = conflictIdOf(conflict);

const resolution: Resolution = {
  registryId,
  signer: accused,
  decidedBy: operator.certificateId,
  reason: 'Der erste Zweig gilt\nPROVEN about nobody',
  format: 'registry/resolution/v1',
  manner: 'replay',
  conflicts: [conflictId],
  entries: [],
  through: linkOf(ledger.entryAt(5)),
};

function pemOf(peer: TestPeer): string {
  return cluster.certificate(peer).certificatePem;
}

/** The file of a conflict with that evidence, as an instance would export it. */
function partsOf(
  evidence: Evidence,
  said: ConflictStatement,
  changes: Partial<ConflictFileParts> = {},
): ConflictFileParts {
  return {
    registryId,
    conflict: finder.sign(said),
    reports: [],
    evidence: [encodeEvidence(evidence)],
    decisions: [],
    configurations: [carriedAt(ledger, 1), carriedAt(ledger, 2)],
    certificates: [lead, finder, witness].map(pemOf),
    exportedAt: timeAfter(200),
    ...changes,
  };
}

const forkParts = (changes: Partial<ConflictFileParts> = {}) =>
  partsOf(fork.evidence, conflict, changes);

const trust = { registryId, clusterCaPem: cluster.authority.certificatePem };

function verified(parts: ConflictFileParts): VerifiedConflictFile {
  const outcome = verifyConflictFile(encodeConflictFile(parts), trust);
  if (outcome.outcome === 'refused') throw new Error(`${outcome.code}: ${outcome.detail}`);
  return outcome;
}

function refusal(parts: ConflictFileParts, trusted: Parameters<typeof verifyConflictFile>[1] = {}) {
  const outcome = verifyConflictFile(encodeConflictFile(parts), { ...trust, ...trusted });
  return outcome.outcome === 'refused' ? `${outcome.code} ${outcome.detail}` : outcome.outcome;
}

describe('the file of a fork', () => {
  test('proves offline about whom it is, to somebody with the registry id and the CA alone', () => {
    const outcome = verified(forkParts());
    const [kept, other] = conflict.digests;

    expect(outcome).toMatchObject({
      outcome: 'verified',
      registryId,
      conflictId,
      kind: 'fork',
      sequence: 4,
      accused,
      lead: accused,
      provenAbout: accused,
      cluster: 'checked',
      exportedAt: timeAfter(200),
      statements: [
        {
          finding: 'proven',
          about: accused,
          by: finder.certificateId,
          detectedAt: conflict.detectedAt,
          sentence: outcome.sentences[0],
        },
      ],
      sentences: [
        `PROVEN about ${accused}: signed two different entries 4: ${kept} and ${other} ` +
          `(reported by ${finder.certificateId} on ${conflict.detectedAt})`,
      ],
    });
  });

  test('says what was decided, in quotes, by whom, and who accepted it', () => {
    const digest = digestIn(lead.sign(resolution));
    const acceptance = decided(witness, {
      format: 'registry/acceptance/v1',
      resolution: digest,
      reason: 'Einverstanden',
    });
    const setAside = decided(witness, {
      format: 'registry/set-aside/v1',
      conflicts: [conflictId],
      copy: 2,
      from: 4,
      reason: 'Zweiter Zweig',
    });
    const closing = witness.sign({
      format: 'registry/closing/v1',
      registryId,
      signer: witness.certificateId,
      ...linkOf(ledger.entryAt(3)),
    } as never);
    const outcome = verified(
      forkParts({
        decisions: [
          { kind: 'acceptance', ...acceptance },
          { kind: 'resolution', ...resolved() },
          { kind: 'set-aside', ...setAside },
          { kind: 'closing', statement: closing },
        ],
      }),
    );

    expect(outcome.sentences.slice(1)).toEqual([
      `DECIDED by ${operator.certificateId} at ${accused}, with the ledger at entry 5 ` +
        `(${ledger.entryAt(5).digest}): replay: "Der erste Zweig gilt\\nPROVEN about nobody"; the ` +
        `resolution ${digest}`,
      `SET ASIDE by ${operator.certificateId} at ${witness.certificateId}: copy 2 of its ledger ` +
        'begins at entry 4: "Zweiter Zweig"',
      `CLOSED by ${witness.certificateId}: the registry ends at entry 3 with ` +
        ledger.entryAt(3).digest,
      `ACCEPTED by ${operator.certificateId} at ${witness.certificateId}: the resolution ` +
        `${digest}: "Einverstanden"`,
    ]);
    expect(outcome.statements.slice(1)).toMatchObject([
      {
        finding: 'decided',
        kind: 'resolution',
        digest,
        manner: 'replay',
        by: accused,
        decidedBy: operator.certificateId,
        reason: resolution.reason,
      },
      { kind: 'set-aside', by: witness.certificateId },
      { kind: 'closing', by: witness.certificateId },
      { kind: 'acceptance', resolution: digest },
    ]);
  });

  test('says which branches a decision names, and which decision a later one has ended', () => {
    const entries = fork.digests.map((each) => ({ sequence: 4 as Sequence, digest: each }));
    const [first, before] = [resolved({ entries }), digestIn(resolved({ entries }).statement)];
    const later = resolved({ manner: 'close', after: before, reason: 'Doch nicht' });
    const decisions = [first, later].map((each) => ({ kind: 'resolution', ...each }) as const);

    const { statements, sentences } = verified(forkParts({ decisions }));

    const after = digestIn(later.statement);
    expect(statements.slice(1)).toMatchObject([
      { digest: before, entries, through: resolution.through, endedBy: after },
      { digest: after, after: before },
    ]);
    expect(statements[2]).not.toHaveProperty('endedBy');
    const [stays, other] = fork.digests;
    expect(sentences[1]).toMatch(
      new RegExp(
        `; the resolution ${before}; it names entry 4 \\(${stays}\\), entry 4 \\(${other}\\); ` +
          `ENDED by the resolution ${after}$`,
      ),
    );
    expect(sentences[2]).toMatch(
      new RegExp(`"Doch nicht"; the resolution ${after}; it ends the resolution ${before}$`),
    );
  });

  test('says whom the certificates in it name', () => {
    const { instances, registry } = verified(forkParts());

    expect(registry).toBe('checked');
    expect(instances.map(({ certificateId }) => certificateId)).toEqual(
      [lead, finder, witness].map(({ certificateId }) => certificateId),
    );
    expect(instances[0]?.subject).toMatch(/^CN=/);
  });

  test('holds the reports of others about the same', () => {
    const other = { ...conflict, signer: witness.certificateId };
    const outcome = verified(forkParts({ reports: [witness.sign(other)] }));

    expect(outcome.statements).toMatchObject([
      { finding: 'proven', by: finder.certificateId },
      { finding: 'proven', by: witness.certificateId },
    ]);
  });

  test('holds a further report without its evidence as the word of who signed it', () => {
    const bare = { ...conflict, signer: witness.certificateId, evidence: [digestOf('elsewhere')] };
    const parts = forkParts({ reports: [witness.sign(bare)] });

    const { statements, sentences } = verified(parts);

    expect(statements.map(({ finding }) => finding)).toEqual(['proven', 'claimed']);
    expect(sentences[1]).toBe(
      `CLAIMED by ${witness.certificateId} on ${bare.detectedAt}: the same fork at entry 4; the ` +
        'evidence of this report is not in this file',
    );
    const first = { ...conflict, evidence: [] };
    expect(refusal(forkParts({ conflict: finder.sign(first) }))).toMatch(
      /^CONFLICT_FILE_MALFORMED .* names no evidence/,
    );
  });

  test('verifies without the CA, and says that it was not there', () => {
    const outcome = verifyConflictFile(encodeConflictFile(forkParts()), {});

    expect(outcome).toMatchObject({ cluster: 'not-checked', registry: 'not-checked' });
  });

  test('says nothing else with any bit of it changed, but when it was exported', () => {
    const decisions = [{ kind: 'resolution', ...resolved() } as const];
    const bytes = encodeConflictFile(forkParts({ decisions }));
    const { exportedAt: _, ...said } = verified(forkParts({ decisions }));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ (1 << bit);
        const outcome = verifyConflictFile(changed, trust);

        if (outcome.outcome === 'verified') expect(outcome).toMatchObject(said);
      }),
      { numRuns: 300 },
    );
  });

  test('of two copies proves it as long as it holds no take-back of the accused', () => {
    const { sequence, digest } = told.chain;
    const issuedAt = timeAfter(50);
    const signed = checkpointOf({
      registryId,
      sequence,
      digest,
      signer: accused,
      copy: 2,
      issuedAt,
    });
    const [kept, forged] = fork.evidence.chains;
    const evidence = {
      ...fork.evidence,
      chains: [kept, { ...forged, checkpoint: lead.sign(signed) }],
    } as Evidence;
    const said = reported(finder, evidence, { accused, digests: fork.digests });
    const takenBack = resolved({ manner: 'take-back', conflicts: [digestOf('rollback')] });
    const parts = partsOf(evidence, said);
    const shown = { ...parts, decisions: [{ kind: 'resolution', ...takenBack } as const] };
    const broken = { ...takenBack, decision: takenBack.statement };

    expect(verified(parts).sentences[0]).toContain('in its copies 1 and 2; no take-back is known');
    expect(refusal(shown)).toContain('EVIDENCE_NOT_REPRODUCED the checkpoints are of the copies');
    expect(refusal({ ...parts, decisions: [{ kind: 'resolution', ...broken }] })).not.toContain(
      'EVIDENCE_NOT_REPRODUCED',
    );
  });

  test('holds a take-back of the accused beside it, and of nobody else', () => {
    const conflicts = [digestOf('rollback')];
    const own = resolved({ manner: 'take-back', conflicts });
    const foreign = resolved({ manner: 'take-back', conflicts, registryId: digestOf('other') });

    expect(
      verified(forkParts({ decisions: [{ kind: 'resolution', ...own }] })).statements[1],
    ).toMatchObject({ kind: 'resolution', manner: 'take-back', by: accused });
    expect(refusal(forkParts({ decisions: [{ kind: 'resolution', ...foreign }] }))).toContain(
      'STATEMENT_REGISTRY_DIFFERS',
    );
  });

  test('accuses nobody who never led', () => {
    const others = [1, 2].map((sequence) => headAt(ledger, sequence + 2));
    const [before] = others as [(typeof others)[0]];
    const one = forgeCommit(finder, before, [uploadDocument('a')], { lead: finder.certificateId });
    const two = forgeCommit(finder, before, [uploadDocument('b')], { lead: finder.certificateId });
    const chains = [one, two].map(({ commit }) => ({ checkpoint: commit.checkpoint, path: [] }));
    const evidence = { ...fork.evidence, chains: chains as never };
    const said = reported(witness, evidence, {
      accused: finder.certificateId,
      digests: [one.chain.digest, two.chain.digest],
    });

    expect(refusal(partsOf(evidence, said, { conflict: witness.sign(said) }))).toMatch(
      /^LEAD_DIFFERS accused is .* did not lead there$/,
    );
  });
});

describe('the file of an invalid transaction', () => {
  const made = forgeCommit(lead, ledger.head, [uploadDocument('d', { version: 3 })]);
  const evidence = invalidEvidence(ledger, made);
  const digests = [made.chain.digest];

  test('proves it about the lead that appended it', () => {
    const outcome = verified(partsOf(evidence, reported(finder, evidence, { accused, digests })));

    expect(outcome).toMatchObject({
      kind: 'invalid-transaction',
      provenAbout: accused,
      sequence: 6,
    });
    expect(outcome.sentences[0]).toContain('signed entry 6, which breaks the rules (VERSION_NOT_');
  });

  test('accuses nobody but who led at that entry', () => {
    const early = forgeCommit(lead, headAt(ledger, 1), [uploadDocument()], {
      lead: accused,
      backlinks: [],
    });
    const shown = { ...invalidEvidence(ledger, early), sequence: 2 };
    const said = reported(finder, shown, { accused, digests: [early.chain.digest] });

    expect(refusal(partsOf(shown, said))).toMatch(/^LEAD_DIFFERS/);
  });
});

describe('the file of a claim', () => {
  const detail = 'entry 2 comes out to another digest';
  const evidence: Evidence = {
    format: 'registry/evidence/v1',
    kind: 'local-tampering',
    registryId,
    sequence: 2,
    detail,
  };

  test('says that it is a claim, and proves nothing about anybody', () => {
    const said = reported(finder, evidence, { accused: finder.certificateId, digests: [] });
    const outcome = verified(partsOf(evidence, said));

    expect(outcome).not.toHaveProperty('provenAbout');
    expect(outcome.lead).toBe(witness.certificateId);
    expect(outcome.statements).toMatchObject([{ finding: 'claimed', by: finder.certificateId }]);
    expect(outcome.sentences).toEqual([
      `CLAIMED by ${finder.certificateId} about itself on ${said.detectedAt}: "${detail}"`,
    ]);
  });

  test('accuses nobody where the kind accuses nobody', () => {
    const wrong = { ...carriedAt(ledger, 4), entries: carriedAt(ledger, 3).entries };
    const received: Evidence = {
      format: 'registry/evidence/v1',
      kind: 'digest-mismatch',
      registryId,
      sequence: 4,
      deliveries: [wrong],
    };
    const outcome = verified(
      partsOf(received, reported(finder, received, { accused: 'open', digests: [] })),
    );

    expect(outcome).toMatchObject({ accused: 'open' });
    expect(outcome.sentences[0]).toMatch(/^CLAIMED by \w+ on [^ ]+: received what does not come/);
  });

  test('of a mirror is resolved otherwise than that of the lead', () => {
    const said = reported(finder, evidence, { accused: finder.certificateId, digests: [] });
    const decisions = [
      {
        kind: 'resolution',
        ...resolved({ conflicts: [conflictIdOf(said)], manner: 'take-back' }),
      } as const,
    ];

    expect(refusal(partsOf(evidence, said, { decisions }))).toMatch(/^MANNER_NOT_ALLOWED/);
  });
});

describe('a file about a conflict is refused', () => {
  test('where it is of another registry than expected', () => {
    const other = digestOf('other');

    expect(refusal(forkParts(), { registryId: other })).toMatch(/^REGISTRY_DIFFERS/);
    expect(refusal(forkParts({ registryId: other }))).toMatch(/^REGISTRY_DIFFERS/);
  });

  test('where it is no such file', () => {
    expect(verifyConflictFile(Buffer.from('{}'), trust)).toMatchObject({ code: 'UNKNOWN_FORMAT' });
  });

  test('where its peer lists do not begin with entry 1', () => {
    expect(refusal(forkParts({ configurations: [carriedAt(ledger, 2)] }))).toMatch(
      /^NOT_FIRST_ENTRY/,
    );
  });

  test('where a certificate is missing, or none of the cluster', () => {
    const [one, two, three] = [lead, finder, witness].map(pemOf) as [string, string, string];
    const foreign = certificateFor(testAuthority('Other CA'), witness).certificatePem;
    const application = testApplication(cluster.authority).certificatePem;
    const of = (...certificates: string[]) => refusal(forkParts({ certificates }));

    expect(of(one, two)).toMatch(/^CONFLICT_FILE_MALFORMED the file lacks the certificate of/);
    expect(of(two, three)).toBe(
      `CONFLICT_FILE_MALFORMED the file lacks the certificate of ${accused}; export the conflict ` +
        'again',
    );
    expect(of(one, two, foreign)).toMatch(/^CONFLICT_FILE_CERTIFICATE_REFUSED .*_UNTRUSTED/);
    expect(of(one, two, three, application)).toMatch(/CERTIFICATE_WITHOUT_ENDPOINT/);
    expect(of(one, two, 'PEM')).toMatch(/^CONFLICT_FILE_CERTIFICATE_REFUSED .*_MALFORMED/);
  });

  test('where a report is unsigned, of another registry, or of a stranger', () => {
    const other = { ...conflict, registryId: digestOf('other') };
    const strange = { ...conflict, signer: stranger.certificateId };
    const by = (statement: Compact) => refusal(forkParts({ conflict: statement }));

    expect(by('a.b.c' as Compact)).toMatch(/^STATEMENT_MALFORMED/);
    expect(by(finder.sign(other))).toMatch(/^STATEMENT_REGISTRY_DIFFERS/);
    expect(by(stranger.sign(strange))).toMatch(/^SIGNER_NO_PEER/);
  });

  test('where a further report is broken, or about something else', () => {
    const other = { ...conflict, digests: [...conflict.digests].reverse() };
    const text = encodeEvidence({
      format: 'registry/evidence/v1',
      kind: 'local-tampering',
      registryId,
      sequence: 2,
      detail: 'something else',
    });
    const else_ = {
      ...conflict,
      kind: 'local-tampering',
      sequence: 2 as Sequence,
      digests: [],
      accused: finder.certificateId,
      evidence: [digestOf(text)],
    };
    const evidence = [encodeEvidence(fork.evidence), text];

    expect(refusal(forkParts({ reports: ['a.b.c' as Compact] }))).toMatch(/^STATEMENT_MALFORMED/);
    expect(refusal(forkParts({ reports: [finder.sign(other)] }))).toBe('verified');
    expect(refusal(forkParts({ reports: [finder.sign(else_ as never)], evidence }))).toMatch(
      /^CONFLICT_FILE_MALFORMED .* a report of another one/,
    );
  });

  test('where evidence is missing, other, broken, or named by no report', () => {
    const text = encodeEvidence(fork.evidence);
    const digest = digestOf(text);
    const swapped = Buffer.from(
      encodeConflictFile(forkParts()).toString().replace('\\"fork\\"', '\\"forK\\"'),
    );
    const broken = { ...conflict, evidence: [digestOf('{}')] };
    const bare: ConflictStatement = { ...conflict, evidence: [] };

    expect(refusal(forkParts({ evidence: [] }))).toMatch(/lacks the evidence/);
    expect(verifyConflictFile(swapped, trust)).toMatchObject({
      code: 'CONFLICT_FILE_MALFORMED',
      detail: `the file holds other evidence than ${digest}; export the conflict again`,
    });
    expect(
      refusal(forkParts({ conflict: finder.sign(broken), evidence: [Buffer.from('{}')] })),
    ).toMatch(/^EVIDENCE_MALFORMED/);
    expect(refusal(forkParts({ evidence: [text, Buffer.from('{}')] }))).toMatch(
      /holds evidence that no report names/,
    );
    expect(refusal(forkParts({ conflict: finder.sign(bare), evidence: [] }))).toMatch(
      /a report of .* that names no evidence/,
    );
  });

  test('where the evidence does not show what is claimed', () => {
    const said = { ...conflict, digests: [digestOf('a'), digestOf('b')] };

    expect(refusal(forkParts({ conflict: finder.sign(said) }))).toMatch(/^EVIDENCE_NOT_REPRODUCED/);
  });
});

describe('a decision in the file is refused', () => {
  const refused = (...decisions: ConflictFileParts['decisions']) =>
    refusal(forkParts({ decisions }));

  test('without both signatures over the same', () => {
    const { statement, decision } = resolved();
    const other = resolved({ reason: 'anders' });

    expect(refused({ kind: 'resolution', statement })).toMatch(/^STATEMENT_MALFORMED/);
    expect(refused({ kind: 'resolution', statement, decision: other.decision })).toMatch(
      /^DECISION_DIFFERS/,
    );
    expect(refused({ kind: 'set-aside', statement, decision })).toMatch(/^STATEMENT_MALFORMED/);
    expect(refused({ kind: 'acceptance', statement, decision })).toMatch(/^STATEMENT_MALFORMED/);
    expect(refused({ kind: 'closing', statement })).toMatch(/^STATEMENT_MALFORMED/);
    expect(refused({ kind: 'closing', statement, decision })).toMatch(/holds a closing with a/);
  });

  test('of a stranger, or of another registry', () => {
    const strange = { ...resolution, signer: stranger.certificateId };
    const signed = { statement: stranger.sign(strange), decision: operator.sign(strange) };
    const closing = stranger.sign({
      format: 'registry/closing/v1',
      registryId,
      signer: stranger.certificateId,
      ...linkOf(ledger.entryAt(3)),
    } as never);

    expect(refused({ kind: 'resolution', ...signed })).toMatch(/^SIGNER_NO_PEER/);
    expect(refused({ kind: 'closing', statement: closing })).toMatch(/^SIGNER_NO_PEER/);
    expect(refused({ kind: 'resolution', ...resolved({ registryId: digestOf('x') }) })).toMatch(
      /^STATEMENT_REGISTRY_DIFFERS/,
    );
  });

  test('about other conflicts, or of a manner that does not fit', () => {
    const conflicts = [digestOf('other')];
    const setAside = decided(witness, {
      format: 'registry/set-aside/v1',
      conflicts,
      copy: 2,
      from: 4,
      reason: 'x',
    });
    const acceptance = decided(witness, {
      format: 'registry/acceptance/v1',
      resolution: digestOf('other'),
      reason: 'x',
    });

    expect(refused({ kind: 'resolution', ...resolved({ conflicts }) })).toMatch(/about others/);
    expect(refused({ kind: 'set-aside', ...setAside })).toMatch(/about others/);
    expect(refused({ kind: 'acceptance', ...acceptance })).toMatch(/which is not in it/);
    expect(refused({ kind: 'resolution', ...resolved({ manner: 'take-back' }) })).toMatch(
      /^MANNER_NOT_ALLOWED a conflict of the kind fork is not resolved by take-back$/,
    );
  });
});

/** A resolution of the operator at the lead. */
function resolved(changes: Partial<Resolution> = {}) {
  const said = { ...resolution, ...changes };
  return { statement: lead.sign(said), decision: operator.sign(said) };
}

/** What the operator decides at that instance. */
function decided(instance: TestPeer, members: object) {
  const said = {
    registryId,
    signer: instance.certificateId,
    decidedBy: operator.certificateId,
    ...members,
  } as Resolution;
  return { statement: instance.sign(said), decision: operator.sign(said) };
}

function digestIn(compact: Compact): Digest {
  const read = readStatement(compact, resolutionSchema);
  if (read.outcome === 'refused') throw new Error(read.detail);
  return read.digest;
}
