import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Link } from '../../shared/ledger/backlinks.ts';
import type { ChainHead } from '../../shared/ledger/chain.ts';
import type { ConflictStatement } from '../../shared/ledger/conflict.ts';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { EntryParts } from '../../shared/ledger/entry.ts';
import { type EvidenceOf, encodeEvidence, readEvidence } from '../../shared/ledger/evidence.ts';
import { NOTHING_BESIDE } from '../../shared/ledger/known-beside.ts';
import { type Rechecked, recheckEvidence } from '../../shared/ledger/recheck-evidence.ts';
import type { CarriedEntry } from '../../shared/ledger/signed-commit.ts';
import type { SignDocument } from '../../shared/ledger/transaction.ts';
import {
  createRegistry,
  nextUuid,
  readTestTransaction,
  reconfigurePeers,
  TestLedger,
  type TestPeer,
  type TestTransaction,
  testPeers,
  testUuid,
  uploadDocument,
} from '../builders.ts';
import { type Forged, forgeCommit } from '../forged-commit.ts';
import { resolutionOf } from '../resolving.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';
import { invalidEvidence, linkOf, reported, textOf } from './disputes.ts';

const [lead, finder, other] = testPeers(3) as [TestPeer, TestPeer, TestPeer];
const accused = lead.certificateId;
const signer = testSigner();
const requests = { signed: nextUuid(), open: nextUuid(), later: nextUuid() };

/** The entries before every accused one: 11 is the first forged. */
const ledger = new TestLedger([lead, finder, other]);
ledger.upload('plan-1');
ledger.commit([requestSignature(signer, 'plan-1', { requestId: requests.signed })]);
const signature = signer.sign(targetOf(ledger, requests.signed));
ledger.commit([signDocument(requests.signed, signature)]);
ledger.upload('plan-1');
ledger.upload('plan-2');
ledger.commit([requestSignature(signer, 'plan-1', { requestId: requests.open })]);
ledger.reconfigure(lead, finder);
ledger.commit([requestSignature(signer, 'plan-1', { requestId: requests.later, version: 2 })]);
ledger.upload('plan-3');

const at = {
  create: 1,
  upload: 2,
  request: 3,
  sign: 4,
  upload2: 5,
  otherUpload: 6,
  openRequest: 7,
  list: 8,
  laterRequest: 9,
  head: 10,
} as const;
const link = (sequence: number): Link => linkOf(ledger.entryAt(sequence));

type Changes = { -readonly [Name in keyof EntryParts]?: EntryParts[Name] | undefined };

/** What the lead appends next, whatever the rules say. */
function forged(transaction: TestTransaction, changes: Changes = {}): Forged {
  return forgeCommit(lead, ledger.head, [transaction], changes);
}

interface Shown {
  readonly witnesses?: readonly number[];
  readonly voided?: readonly Link[];
  readonly evidence?: Partial<EvidenceOf<'invalid-transaction'>>;
  readonly statement?: Partial<ConflictStatement>;
}

function recheck(
  made: Forged,
  { witnesses = [], voided = [], evidence, statement }: Shown,
): Rechecked {
  const shown = { ...invalidEvidence(ledger, made, witnesses), ...evidence };
  const digests = [made.chain.digest];
  const conflict = reported(finder, shown, { accused, digests });
  const known = { ...NOTHING_BESIDE, voided };
  return recheckEvidence({ ...conflict, ...statement }, shown, known);
}

/** The code that the lead is convicted by, or why it is not. */
function verdict(made: Forged, shown: Shown = {}): string {
  const rechecked = recheck(made, shown);
  if (rechecked.outcome === 'refused') return `${rechecked.code} ${rechecked.detail}`;
  return /breaks the rules \((\w+): /.exec(rechecked.finding)?.[1] ?? rechecked.finding;
}

const unproven = expect.stringContaining('EVIDENCE_NOT_REPRODUCED neither its bytes nor');

function signed(requestId: string, value: SignDocument['signature'], subject: number) {
  return forged(signDocument(requestId, value), { subject: link(subject) });
}

describe('an invalid transaction by what is there', () => {
  test('uses a transaction id a second time', () => {
    const { transactionId } = readTestTransaction(ledgerTransaction(at.upload)).transaction;
    const made = forged(uploadDocument('new', { transactionId }));

    expect(recheck(made, { witnesses: [at.upload] })).toEqual({
      outcome: 'reproduced',
      proves: 'lead',
      finding:
        'signed entry 11, which breaks the rules (TRANSACTION_ID_REUSED: "transaction id ' +
        `${transactionId} has an entry already; take a new UUID")`,
    });
    expect(verdict(made)).toEqual(unproven);
  });

  test('names a resolution that an earlier entry named', () => {
    const again = new TestLedger([lead, finder]);
    again.upload('a');
    const resolution = resolutionOf(again, [2], { finder });
    again.commit([reconfigurePeers([lead, finder])], { resolves: [resolution] });
    const resolves = [resolution.digest];
    const made = forgeCommit(lead, again.head, [uploadDocument('b')], { resolves });
    const verdictWith = (shown: readonly number[]) => {
      const evidence = invalidEvidence(again, made, shown);
      const digests = [made.chain.digest];
      return recheckEvidence(reported(finder, evidence, { accused, digests }), evidence);
    };

    expect(verdictWith([3])).toMatchObject({
      finding: expect.stringContaining(`RESOLVES_AGAIN: "the resolution ${resolution.digest}`),
    });
    expect(verdictWith([])).toMatchObject({ code: 'EVIDENCE_NOT_REPRODUCED' });
  });

  test('names a resolution twice', () => {
    const resolves = [digestOf('resolution'), digestOf('resolution')];

    expect(verdict(forged(uploadDocument('new'), { resolves }))).toBe('RESOLVES_AGAIN');
  });

  test('creates a registry a second time', () => {
    expect(verdict(forged(createRegistry([lead])))).toBe('NOT_FIRST_ENTRY');
  });

  test('is entry 1 and creates nothing', () => {
    const made = forgeCommit(lead, undefined, [uploadDocument()], {
      registryId: ledger.registryId,
      lead: accused,
    });
    const evidence = {
      ...invalidEvidence(ledger, made),
      commit: { ...made.commit, checkpoint: signedFor(made.chain, 1) },
    };

    expect(
      recheckEvidence(
        reported(finder, evidence, { accused, digests: [made.chain.digest] }),
        evidence,
      ),
    ).toMatchObject({ finding: expect.stringContaining('NOT_FIRST_ENTRY') });
  });

  test('records a version that a witness has, or a later one', () => {
    const again = forged(uploadDocument('plan-1'), { subject: link(at.upload) });

    expect(verdict(again, { witnesses: [at.upload] })).toBe('VERSION_NOT_NEXT');
    expect(verdict(again, { witnesses: [at.upload2] })).toBe('VERSION_NOT_NEXT');
  });

  test('uses a request id a second time', () => {
    const made = forged(requestSignature(signer, 'plan-1', { requestId: requests.open }));

    expect(verdict(made, { witnesses: [at.openRequest] })).toBe('REQUEST_ID_REUSED');
  });

  test('asks for the signature of a key that is not admitted', () => {
    const zero = Buffer.alloc(32).toString('base64url');
    const publicKey = { crv: 'P-256', kty: 'EC', x: zero, y: zero } as const;

    expect(verdict(forged(requestSignature({ publicKey })))).toBe('KEY_NOT_ALLOWED');
  });

  test('signs what was signed before, by the signature alone or with its request', () => {
    const made = signed(requests.signed, signature, at.request);

    expect(verdict(made, { witnesses: [at.sign] })).toBe('REQUEST_ALREADY_SIGNED');
    expect(verdict(made, { witnesses: [at.request, at.sign] })).toBe('REQUEST_ALREADY_SIGNED');
  });

  test('carries a signature that answered another request', () => {
    const made = signed(requests.open, signature, at.openRequest);
    const witnesses = [at.upload, at.openRequest, at.sign];

    expect(verdict(made, { witnesses })).toBe('SIGNATURE_REPLAYED');
  });

  test('carries a signature that is wrong', () => {
    const right = signer.sign(targetOf(ledger, requests.open), 7);
    const wrong = { ...right, signature: signer.sign(targetOf(ledger, requests.open)).signature };
    const made = signed(requests.open, wrong, at.openRequest);

    expect(verdict(made, { witnesses: [at.upload, at.openRequest] })).toBe('SIGNATURE_WRONG');
  });

  test('carries a signature over other bytes, if the version is shown', () => {
    const target = { ...targetOf(ledger, requests.open), contentDigest: digestOf('other') };
    const made = signed(requests.open, signer.sign(target), at.openRequest);

    expect(verdict(made, { witnesses: [at.upload, at.openRequest] })).toBe(
      'SIGNATURE_CONTENT_DIFFERS',
    );
    expect(verdict(made, { witnesses: [at.openRequest] })).toEqual(unproven);
  });

  test('is held against entries of its own commit', () => {
    const first = uploadDocument('new');
    const { transactionId } = readTestTransaction(first).transaction;
    const second = uploadDocument('newer', { transactionId });
    const made = forgeCommit(lead, ledger.head, [first, second]);

    expect(verdict(made)).toBe('TRANSACTION_ID_REUSED');
  });
});

describe('an invalid transaction by what it says it is about', () => {
  const unknownVersion = requestSignature(signer, 'plan-9');
  const unknownRequest = signDocument(testUuid(9999), signature);
  const skipped = uploadDocument('plan-1', { version: 4 });

  test.each<[string, TestTransaction, string]>([
    ['a version that is unknown', unknownVersion, 'VERSION_UNKNOWN'],
    ['a request that is unknown', unknownRequest, 'REQUEST_UNKNOWN'],
    ['a version behind a gap', skipped, 'VERSION_NOT_NEXT'],
  ])('is about %s where it names nothing, or something else', (_what, transaction, code) => {
    const other = forged(transaction, { subject: link(at.upload2) });

    expect(verdict(forged(transaction))).toBe(code);
    expect(verdict(other, { witnesses: [at.upload2] })).toBe(code);
    expect(verdict(other)).toEqual(unproven);
  });

  test.each([at.openRequest, at.list])('answers no request where it is about entry %i', (about) => {
    const made = forged(unknownRequest, { subject: link(about) });

    expect(verdict(made, { witnesses: [about] })).toBe('REQUEST_UNKNOWN');
  });

  test('is not invalid because of what the finder leaves out', () => {
    const upload = forged(uploadDocument('plan-1', { version: 3 }), { subject: link(at.upload2) });
    const request = forged(requestSignature(signer), { subject: link(at.upload) });
    const right = signer.sign(targetOf(ledger, requests.open), 3);
    const sign = signed(requests.open, right, at.openRequest);

    for (const made of [upload, request, sign]) expect(verdict(made)).toEqual(unproven);
    expect(verdict(upload, { witnesses: [at.upload] })).toEqual(unproven);
    expect(verdict(upload, { witnesses: [at.upload, at.upload2] })).toEqual(unproven);
    expect(verdict(request, { witnesses: [at.upload] })).toEqual(unproven);
    expect(verdict(sign, { witnesses: [at.openRequest] })).toEqual(unproven);
    expect(verdict(sign, { witnesses: [at.upload, at.openRequest] })).toEqual(unproven);
  });

  test('is invalid where the link has the right digest and another place', () => {
    const subject = { ...link(at.upload), sequence: at.upload2 as Sequence };
    const request = forged(requestSignature(signer, 'plan-2'), { subject });

    expect(verdict(request, { witnesses: [at.upload] })).toBe('VERSION_UNKNOWN');
  });

  test('links to something else than what it is about', () => {
    const upload = forged(uploadDocument('plan-1', { version: 3 }), { subject: link(at.upload) });
    const request = forged(requestSignature(signer), { subject: link(at.upload2) });
    const first = forged(uploadDocument('plan-9'), { subject: link(at.upload) });
    const list = forged(reconfigurePeers([lead]), { subject: link(at.create) });

    expect(verdict(upload, { witnesses: [at.upload2] })).toBe('SUBJECT_LINK_WRONG');
    expect(verdict(request, { witnesses: [at.upload] })).toBe('SUBJECT_LINK_WRONG');
    expect(verdict(first)).toBe('SUBJECT_LINK_WRONG');
    expect(verdict(list)).toBe('SUBJECT_LINK_WRONG');
    expect(verdict(forged(reconfigurePeers([lead]), { subject: link(at.list) }))).toEqual(unproven);
  });

  test('is no alternative where no entry of its commit can name a resolution', () => {
    const made = forged(uploadDocument('plan-1', { supersedes: link(at.upload) }));
    const all = ledger.entries.map(({ sequence }) => sequence);
    const resolving = forged(uploadDocument('plan-1', { supersedes: link(at.upload) }), {
      resolves: [digestOf('resolution')],
    });

    expect(verdict(made, { witnesses: all })).toBe('SUPERSEDES_WITHOUT_RESOLUTION');
    expect(verdict(made, { witnesses: all.slice(1) })).toEqual(unproven);
    expect(verdict(resolving, { witnesses: all })).toEqual(unproven);
  });
});

describe('entries that a resolution voided', () => {
  test('are no witnesses of a state that they never made', () => {
    const made = forged(uploadDocument('plan-1', { version: 2 }), { subject: link(at.upload) });
    const witnesses = [at.upload, at.upload2];

    expect(verdict(made, { witnesses })).toBe('VERSION_NOT_NEXT');
    expect(verdict(made, { witnesses, voided: [link(at.upload2)] })).toEqual(unproven);
  });

  test('have used their transaction ids', () => {
    const { transactionId } = readTestTransaction(ledgerTransaction(at.upload)).transaction;
    const made = forged(uploadDocument('new', { transactionId }));

    expect(verdict(made, { witnesses: [at.upload], voided: [link(at.upload)] })).toBe(
      'TRANSACTION_ID_REUSED',
    );
  });

  test('may be what an entry is about, which nothing here disproves', () => {
    const made = forged(requestSignature(signer), { subject: link(at.upload) });

    expect(verdict(made, { witnesses: [at.upload], voided: [link(at.upload)] })).toEqual(unproven);
  });
});

describe('an entry in the wrong place', () => {
  const plain = () => uploadDocument('new');

  test('has backlinks to other places than the rule’s', () => {
    expect(verdict(forged(plain(), { backlinks: [link(10), link(9)] }))).toBe('BACKLINKS_WRONG');
  });

  test.each<[string, Link | undefined, readonly number[]]>([
    ['to no peer list', undefined, []],
    ['to an entry that comes after', { sequence: 11 as Sequence, digest: digestOf('a') }, []],
    ['to a peer list before the last', link(at.create), [at.list]],
    ['to an entry that brings no list', link(at.laterRequest), [at.laterRequest]],
    ['to another entry than is there', { ...link(at.list), digest: digestOf('a') }, [at.list]],
  ])('links %s', (_what, configuration, witnesses) => {
    const made = forged(plain(), { configuration });

    expect(verdict(made, { witnesses })).toBe('CONFIGURATION_LINK_WRONG');
  });

  test('is not misplaced by lists that are left out, or that come before its own', () => {
    const made = forged(plain(), { configuration: link(at.create) });

    expect(verdict(made)).toEqual(unproven);
    expect(verdict(forged(plain()), { witnesses: [at.create, at.list] })).toEqual(unproven);
  });

  test('names another lead than its list', () => {
    const made = forged(plain(), { lead: finder.certificateId });

    expect(verdict(made, { witnesses: [at.list] })).toBe('LEAD_DIFFERS');
    expect(verdict(made)).toEqual(unproven);
    expect(verdict(made, { witnesses: [at.laterRequest] })).toEqual(unproven);
  });

  test('names a lead that is neither the accused nor in force: others are to blame', () => {
    const before = new TestLedger([finder, lead, other]);
    before.reconfigure(lead, finder, other);
    const made = forgeCommit(lead, before.head, [plain()], {
      lead: other.certificateId,
      configuration: linkOf(before.entryAt(1)),
    });
    const evidence = invalidEvidence(before, made, [1]);
    const conflict = reported(finder, evidence, { accused, digests: [made.chain.digest] });

    expect(recheckEvidence(conflict, evidence)).toMatchObject({ code: 'EVIDENCE_NOT_REPRODUCED' });
  });

  test('is older than the one before', () => {
    const made = forged(plain(), { timestamp: '2026-11-22T09:00:00.000Z' });

    expect(verdict(made, { witnesses: [at.head] })).toBe('TIMESTAMP_BEFORE_PREVIOUS');
    expect(verdict(made)).toEqual(unproven);
    expect(verdict(forged(plain()), { witnesses: [at.create, at.head] })).toEqual(unproven);
  });

  test('hands the lead over, and more follows in its commit', () => {
    const handOver = reconfigurePeers([finder, lead]);
    const back = reconfigurePeers([lead, finder]);
    const accuse = (made: Forged) => {
      const first = made.commit.entries[0] as CarriedEntry;
      const accusation = { ...invalidEvidence(ledger, made), sequence: 11 };
      const digests = [digestOf(first.entry)];
      return recheckEvidence(reported(finder, accusation, { accused, digests }), accusation);
    };
    const made = (...transactions: TestTransaction[]) => {
      const [first, ...rest] = transactions as [TestTransaction, ...TestTransaction[]];
      const one = forged(first, { subject: link(at.list) });
      const next = forgeCommit(lead, one.chain, rest);
      const entries = [...one.commit.entries, ...next.commit.entries];
      return { chain: next.chain, commit: { ...next.commit, entries } };
    };

    expect(accuse(made(handOver, plain()))).toMatchObject({
      finding: expect.stringContaining('COMMIT_NOT_ENDED'),
    });
    expect(accuse(made(back, plain()))).toMatchObject({ outcome: 'refused' });
    expect(accuse(made(handOver, back))).toMatchObject({ outcome: 'refused' });
    expect(verdict(forged(handOver, { subject: link(at.list) }))).toEqual(unproven);
  });
});

describe('evidence against an invalid transaction', () => {
  const { transactionId } = readTestTransaction(ledgerTransaction(at.upload)).transaction;
  const made = forged(uploadDocument('new', { transactionId }));
  const witnesses = [at.upload];
  const notReproduced = (detail: string) =>
    expect.stringContaining(`EVIDENCE_NOT_REPRODUCED ${detail}`);

  test('shows what breaks the form of an entry, by its bytes alone', () => {
    const bytes = '{"format":"registry/transaction/v1","type":"ä"}';
    const flawed = forgedBytes(bytes);
    const second = forgedBytes(bytes);

    expect(verdict(flawed)).toBe('SCHEMA_VIOLATION');
    expect(verdict(flawed, { statement: { digests: [digestOf('other')] } })).toEqual(
      notReproduced('the commit shows another flaw, of entry 11'),
    );
    expect(
      verdict(second, { statement: { sequence: 10 as Sequence }, evidence: { sequence: 10 } }),
    ).toEqual(notReproduced('the commit shows another flaw, of entry 11'));
  });

  test('is the lead’s own word', () => {
    const unsigned = { ...made.commit, checkpoint: 'a.b.c' };
    const byOther = forgeCommit(finder, ledger.head, [uploadDocument('new', { transactionId })]);

    expect(verdict(made, { witnesses, evidence: { commit: unsigned } })).toEqual(
      notReproduced("the commit is not the lead's word: STATEMENT_MALFORMED"),
    );
    expect(verdict(byOther, { witnesses })).toEqual(
      notReproduced(`the checkpoint is of ${finder.certificateId}; accused is ${accused}`),
    );
  });

  test.each<[string, Partial<ConflictStatement>, { sequence?: number }]>([
    ['another entry', { sequence: 10 as Sequence }, { sequence: 10 }],
    ['another digest', { digests: [digestOf('other')] }, {}],
    ['two digests', { digests: [made.chain.digest, made.chain.digest] }, {}],
    ['no digest', { digests: [] }, {}],
  ])('is about the entry that is claimed, not %s', (_what, statement, evidence) => {
    expect(verdict(made, { witnesses, statement, evidence })).toMatch(/is not in the commit$/);
  });

  test('blames nobody for the entry of another lead', () => {
    const led = new TestLedger([finder, lead]);
    const upload = uploadDocument('new', { transactionId: testUuid(7) });
    led.commit([uploadDocument('old', { transactionId: testUuid(7) })]);
    const bad = forgeCommit(finder, led.head, [upload]);
    const handOver = forgeCommit(finder, bad.chain, [reconfigurePeers([lead, finder])]);
    const later = forgeCommit(lead, handOver.chain, [uploadDocument('later')]);
    const commits = [bad, handOver, later];
    const entries = commits.flatMap(({ commit }) => commit.entries);
    const evidence = {
      ...invalidEvidence(led, bad, [2]),
      commit: { ...later.commit, entries },
    };
    const accuse = (whom: TestPeer, shown: typeof evidence) =>
      recheckEvidence(
        reported(other, shown, { accused: whom.certificateId, digests: [bad.chain.digest] }),
        shown,
      );

    expect(accuse(lead, evidence)).toMatchObject({ code: 'EVIDENCE_NOT_REPRODUCED' });
    expect(accuse(finder, { ...evidence, commit: bad.commit })).toMatchObject({
      outcome: 'reproduced',
    });
  });

  test('has witnesses that links lead to', () => {
    const { links } = invalidEvidence(ledger, made, witnesses);
    const foreign = new TestLedger([lead, finder]);
    foreign.upload('plan-1');
    const strange = foreign.entryAt(2);
    const own = ledger.entryAt(at.upload);

    expect(links.length).toBeGreaterThan(0);
    expect(verdict(made, { witnesses, evidence: { links: links.slice(0, -1) } })).toEqual(
      notReproduced('no link in the evidence leads to entry'),
    );
    expect(
      verdict(made, { witnesses, evidence: { links: [...links, textOf(strange.entry)] } }),
    ).toEqual(notReproduced(`entry 2 is of the registry ${foreign.registryId}`));
    const others = [
      ['{}', textOf(own.transaction), 'a witness: '],
      [textOf(strange.entry), textOf(strange.transaction), 'entry 2 is of the registry'],
      [textOf(own.entry), textOf(strange.transaction), 'the transaction beside entry 2'],
      [textOf(own.entry), '{}', 'a witness: '],
    ] as const;
    for (const [entry, transaction, detail] of others)
      expect(verdict(made, { evidence: { witnesses: [{ entry, transaction }] } })).toEqual(
        notReproduced(detail),
      );
    expect(verdict(made, { evidence: { links: ['{}'] } })).toEqual(notReproduced('a witness: '));
  });

  test('follows the subjects of the accused entry, and of no other', () => {
    const wrong = { ...signer.sign(targetOf(ledger, requests.later), 7), signature: 'AQID' };
    const sign = signed(requests.later, wrong, at.laterRequest);
    const about = [at.laterRequest, at.upload2].map((sequence) => {
      const { entry, transaction } = ledger.entryAt(sequence);
      return { entry: textOf(entry), transaction: textOf(transaction) };
    });

    expect(verdict(sign, { evidence: { witnesses: about } })).toBe('SIGNATURE_LENGTH_WRONG');
    const other = forged(signDocument(requests.later, wrong), { subject: link(at.openRequest) });
    expect(verdict(other, { evidence: { witnesses: about } })).toEqual(
      notReproduced('no link in the evidence leads to entry 9'),
    );
  });

  test('follows subjects through its own commit', () => {
    const requestId = nextUuid();
    const request = requestSignature(signer, 'plan-1', { requestId });
    const first = forged(request, { subject: link(at.upload) });
    const value = { ...signature, signature: 'AQID' };
    const subject = { sequence: first.chain.sequence, digest: first.chain.digest };
    const second = forgeCommit(lead, first.chain, [signDocument(requestId, value)], { subject });
    const entries = [...first.commit.entries, ...second.commit.entries];
    const both = { chain: second.chain, commit: { ...second.commit, entries } };
    const { entry, transaction } = ledger.entryAt(at.upload);
    const shown = [{ entry: textOf(entry), transaction: textOf(transaction) }];

    expect(verdict(both, { evidence: { witnesses: shown } })).toBe('SIGNATURE_LENGTH_WRONG');
  });

  test('convicts nobody with any bit of it changed', () => {
    const evidence = invalidEvidence(ledger, made, witnesses);
    const conflict = reported(finder, evidence, { accused, digests: [made.chain.digest] });
    const bytes = encodeEvidence(evidence);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (index, bit) => {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] as number) ^ (1 << bit);
        // The same text, escaped in capitals.
        if (changed.toString('latin1').toLowerCase() === bytes.toString('latin1')) return;
        const read = readEvidence(changed);

        expect(
          read.outcome === 'refused' ? read : recheckEvidence(conflict, read.evidence),
        ).toMatchObject({ outcome: 'refused' });
      }),
      { numRuns: 300 },
    );
  });
});

function ledgerTransaction(sequence: number): TestTransaction {
  return { transaction: Buffer.from(ledger.entryAt(sequence).transaction) };
}

/** The lead's checkpoint over that digest. */
function signedFor({ digest }: Pick<ChainHead, 'digest'>, sequence: number) {
  return lead.sign({
    copy: 1,
    digest,
    format: 'registry/checkpoint/v1',
    issuedAt: '2026-11-22T10:00:00.000Z',
    registryId: ledger.registryId,
    sequence,
    signer: accused,
  } as Parameters<typeof lead.sign>[0]);
}

/** An entry over bytes that are no transaction. */
function forgedBytes(transaction: string): Forged {
  const transactionDigest: Digest = digestOf(transaction);
  const made = forged(uploadDocument('new'), { transactionDigest });
  const { entry } = made.commit.entries[0] as CarriedEntry;
  return { ...made, commit: { ...made.commit, entries: [{ entry, transaction }] } };
}
