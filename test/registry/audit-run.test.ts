import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { checkpointOf } from '../../shared/ledger/checkpoint.ts';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import {
  documentKey,
  type StateItem,
  type StateKey,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import { runAudit } from '../../shared/registry/audit-run.ts';
import type { Confirmation, Head, StoredEntry } from '../../shared/registry/ports.ts';
import { StoredDamage } from '../../shared/registry/stored-damage.ts';
import {
  confirmationFor,
  payloadOfCompact,
  START,
  TestLedger,
  testPeer,
  testUuid,
  timeAfter,
} from '../builders.ts';
import { redactionBy } from '../redacting.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';
import { audited, DAY_MS, type Damage, foundIn, HOUR_MS, WHOLE } from './audited.ts';
import { answering } from './reading.ts';

const [a, b, c] = [testPeer(), testPeer(), testPeer()];
const other = digestOf('other');
const person = testSigner();
const requestId = testUuid(0xa01);

/** A commit of so many versions, each of a document of its own number. */
function uploads(ledger: TestLedger, count: number): void {
  const first = ledger.head.sequence;
  ledger.upload(...Array.from({ length: count }, (_, n) => `plan-${first + n}`));
}

/**
 * 2 to 13: documents. 14 and 15: a request and its signature. 16: b leads instead of a. Then
 * documents to 232, in commits of 12; confirmed at 13, 16, 28 and at the end.
 */
function longLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  uploads(ledger, 12);
  ledger.confirm(b);
  ledger.confirm(c);
  ledger.commit([requestSignature(person, 'plan-1', { requestId })]);
  ledger.commit([signDocument(requestId, person.sign(targetOf(ledger, requestId)))]);
  ledger.reconfigure(b, a, c);
  ledger.confirm(a);
  ledger.confirm(c);
  while (ledger.head.sequence < 232) {
    uploads(ledger, 12);
    if (ledger.head.sequence === 28) ledger.confirm(a);
  }
  ledger.confirm(a);
  ledger.confirm(c);
  return ledger;
}

const ledger = longLedger();

async function findingsOf(damage: Damage): Promise<string[]> {
  const copy = await audited(ledger);
  copy.store.damage = damage;
  return foundIn(await copy.run());
}

/** Of the document that the entry records. */
function digestIn(sequence: number): Digest {
  const bytes = Buffer.from(ledger.entryAt(sequence).transaction);
  return JSON.parse(bytes.toString()).contentDigest;
}

/** As many as the entry records. */
function otherBytes(sequence: number): Buffer {
  return Buffer.alloc(ledger.documents.get(digestIn(sequence))?.length ?? 0, 'x');
}

describe('an audit run', () => {
  test('of a sound copy finds nothing, and says what it read', async () => {
    const copy = await audited(ledger);

    expect(await copy.run()).toEqual({
      outcome: 'audited',
      from: 1,
      through: 232,
      entries: 232,
      confirmations: 7,
      documents: 228,
      bytes: [...ledger.documents.values()].reduce((sum, { length }) => sum + length, 0),
      findings: [],
      peers: { answered: 0, differing: [] },
      passes: 1,
      late: false,
    });
    expect(copy.alarms.raised).toEqual([]);
    expect(copy.store.breaches).toEqual([]);
    expect(await copy.store.conflicts(copy.registryId)).toEqual([]);
  });

  test.each([1, 2, 3])('of a ledger of few entries (%i) finds nothing', async (entries) => {
    const short = new TestLedger([a, b, c]);
    while (short.head.sequence < entries) short.upload('plan-1');
    const copy = await audited(short);

    expect(await copy.run()).toMatchObject({ outcome: 'audited', entries, findings: [] });
  });

  test('of a copy from which details were taken out finds nothing', async () => {
    const copy = await audited(ledger);
    const place = { registryId: ledger.registryId, sequence: 35 as Sequence };
    const redaction = redactionBy(c, testPeer(), place);
    await copy.store.redactDetails(copy.registryId, 1, ledger.entryAt(35), redaction);

    expect(foundIn(await copy.run())).toEqual([]);
  });

  test('of a registry that nobody knows says so', async () => {
    const copy = await audited(ledger);

    expect(await runAudit(copy.ports, other, WHOLE)).toEqual({ outcome: 'unknown-registry' });
  });

  test('is the same wherever a slice begins', async () => {
    const copy = await audited(ledger);
    const found: string[] = [];

    for (let from = 1; from <= ledger.head.sequence; from += 7) {
      const at = new Date(copy.time.nowMs).toISOString();
      await copy.store.putAuditProgress({
        ...{ registryId: copy.registryId, copy: 1, nextFrom: from, passes: 0, findings: 0 },
        ...{ passStartedAt: at, bytesPassStartedAt: at, lastRunAt: at, readsBytes: true },
      });
      found.push(...foundIn(await copy.run({ entriesMax: 7 })));
    }

    expect(found).toEqual([]);
  });
});

/** Damage of one entry only. */
function ofEntry(sequence: number, change: (stored: StoredEntry) => Partial<StoredEntry>): Damage {
  return { entry: (stored) => (stored.sequence === sequence ? change(stored) : {}) };
}

/** The bytes with one text exchanged. */
function altered(bytes: Uint8Array, from: string, to: string): Buffer {
  return Buffer.from(Buffer.from(bytes).toString().replace(from, to));
}

/** The entry with other members, and the digest that follows. */
function forged(stored: StoredEntry, changes: object): Partial<StoredEntry> {
  const entry = encodeCanonical({
    ...JSON.parse(Buffer.from(stored.entry).toString()),
    ...changes,
  });
  return { entry, digest: digestOf(entry) };
}

/** Damage of one state item. */
function ofItem(wanted: StateKey, change: object | undefined): Damage {
  return {
    items: (key, item) => {
      if (key !== wanted) return item;
      return change === undefined ? undefined : ({ ...item, ...change } as StateItem);
    },
  };
}

function transactionAt(sequence: number) {
  return JSON.parse(Buffer.from(ledger.entryAt(sequence).transaction).toString());
}

function documentAt(sequence: number): { readonly documentId: string; readonly version: number } {
  return transactionAt(sequence);
}

/** The last entry of the commit that holds it. */
function commitEnd(sequence: number): number {
  const commit = ledger.commits.find(({ write }) => write.head.sequence >= sequence);
  return commit?.write.head.sequence ?? 0;
}

describe.each([
  ['a slice', 35],
  ['the newest entries', 205],
])('a run over %s finds', (_place, n) => {
  const end = commitEnd(n);

  test.each<readonly [string, Damage, string[]]>([
    ['an entry that is missing', { lost: n }, [`${n} ENTRY_MISSING`]],
    ['an entry that cannot be read', { unreadable: n }, [`${n} STORED_DAMAGE`]],
    [
      'an entry that is no longer canonical',
      ofEntry(n, ({ entry }) => ({ entry: altered(entry, ',', ' ,') })),
      [`${n} NOT_CANONICAL`],
    ],
    [
      'an entry of another time',
      ofEntry(n, ({ entry }) => ({ entry: altered(entry, '.000Z', '.001Z') })),
      [`${n} STORED_ENTRY_DIFFERS`],
    ],
    [
      'an entry that was rewritten with its digest, by its state and by the next link',
      ofEntry(n, (stored) => forged(stored, { resolves: [], timestamp: timeAfter(n + 0.001) })),
      [`${n} STATE_ITEM_DIFFERS`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'an entry with a backlink too few',
      ofEntry(n, (stored) => forged(stored, { backlinks: [] })),
      [`${n} BACKLINKS_WRONG`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'an entry that names another lead',
      ofEntry(n, (stored) => forged(stored, { lead: c.certificateId })),
      [`${n} LEAD_DIFFERS`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'an entry that links to another peer list',
      ofEntry(n, (stored) => forged(stored, { configuration: { sequence: 16, digest: other } })),
      [`${n} CONFIGURATION_LINK_WRONG`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'an entry of another registry',
      ofEntry(n, (stored) => forged(stored, { registryId: other })),
      [`${n} REGISTRY_DIFFERS`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'an entry that is older than the one before',
      ofEntry(n, (stored) => forged(stored, { timestamp: timeAfter(0) })),
      [`${n} TIMESTAMP_BEFORE_PREVIOUS`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'an entry with a subject that it is not about',
      ofEntry(n, (stored) => forged(stored, { subject: linkTo(2) })),
      [`${n} SUBJECT_LINK_WRONG`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'an entry that names a resolution which is not here',
      ofEntry(n, (stored) => forged(stored, { resolves: [other] })),
      [`${n} RESOLVES_UNKNOWN`, `${n + 1} BACKLINKS_WRONG`],
    ],
    [
      'another digest beside an entry',
      ofEntry(n, () => ({ digest: other })),
      [`${n} STORED_ENTRY_DIFFERS`],
    ],
    [
      'another sequence beside an entry',
      ofEntry(n, () => ({ sequence: 9 as Sequence })),
      [`${n} STORED_ENTRY_DIFFERS`],
    ],
    [
      'another transaction id beside an entry',
      ofEntry(n, () => ({ transactionId: 'x\0\ud800' })),
      [`${n} STORED_ENTRY_DIFFERS`],
    ],
    [
      'another transaction',
      ofEntry(n, ({ transaction }) => ({ transaction: altered(transaction, 'plan-', 'plum-') })),
      [`${n} TRANSACTION_DIGEST_DIFFERS`],
    ],
    [
      'a transaction that is none',
      ofEntry(n, () => ({ transaction: Buffer.from('{}') })),
      [`${n} UNKNOWN_FORMAT`],
    ],
    [
      'other details',
      ofEntry(n, ({ details = Buffer.alloc(0) }) => ({ details: altered(details, 'Frei', 'Auf') })),
      [`${n} DETAILS_DIGEST_DIFFERS`],
    ],
    ['no details', { without: ['details', n, n] }, [`${n} DETAILS_MISSING`]],
    [
      'a redaction by somebody who never was a peer',
      {
        without: ['details', n, n],
        ...ofEntry(n, () => ({
          redaction: redactionBy(testPeer(), testPeer(), {
            registryId: ledger.registryId,
            sequence: n as Sequence,
          }),
        })),
      },
      [`${n} SIGNER_NO_PEER`],
    ],
    [
      'a checkpoint that is none',
      ofEntry(end, () => ({ checkpoint: 'x' as Compact })),
      [`${end} STATEMENT_MALFORMED`],
    ],
    [
      'the checkpoint of another entry',
      ofEntry(end, () => ({ checkpoint: ledger.commits[1]?.write.head.checkpoint as Compact })),
      [`${end} LEAD_DIFFERS`],
    ],
    [
      'a checkpoint by somebody else',
      ofEntry(end, ({ checkpoint }) => ({
        checkpoint: c.sign(
          checkpointOf({
            ...(payloadOfCompact(checkpoint as Compact) as ReturnType<typeof checkpointOf>),
            signer: c.certificateId,
          }),
        ),
      })),
      [`${end} LEAD_DIFFERS`],
    ],
    [
      'that 24 entries have no checkpoint',
      { without: ['checkpoint', n, n + 23] },
      [`${commitEnd(n - 12) + 24} CHECKPOINT_MISSING`],
    ],
    [
      'a transaction id that stands for another entry',
      ofItem(transactionKey(ledger.entryAt(n).transactionId), { sequence: 2 }),
      [`${n} STATE_ITEM_DIFFERS`],
    ],
    [
      'a version of other content',
      ofItem(versionKey(documentAt(n).documentId, 1), { contentDigest: other }),
      [`${n} STATE_ITEM_DIFFERS`],
    ],
    [
      'a document that is missing',
      ofItem(documentKey(documentAt(n).documentId), undefined),
      [`${n} STATE_ITEM_DIFFERS`],
    ],
  ])('%s', async (_what, damage, findings) => {
    expect(await findingsOf(damage)).toEqual(findings);
  });

  test.each([
    ['bytes that are missing', undefined, 'DOCUMENT_MISSING'],
    [
      'one byte changed',
      (bytes: Buffer) => Buffer.from(bytes.map((byte) => byte ^ 1)),
      'DOCUMENT_DIFFERS',
    ],
    ['fewer bytes', (bytes: Buffer) => bytes.subarray(1), 'DOCUMENT_DIFFERS'],
  ])('a document with %s', async (_what, change, code) => {
    const copy = await audited(ledger);
    const { contentDigest } = transactionAt(n) as { readonly contentDigest: Digest };
    if (change === undefined) copy.blobs.lose(contentDigest);
    else copy.blobs.corrupt(contentDigest, change(ledger.documents.get(contentDigest) as Buffer));

    expect(foundIn(await copy.run())).toEqual([`${n} ${code}`]);
  });
});

function linkTo(sequence: number) {
  return { sequence, digest: ledger.entryAt(sequence).digest };
}

describe('a run finds beside', () => {
  test.each<readonly [string, Damage, string[]]>([
    [
      'an entry 1 of another registry',
      ofEntry(1, (stored) => forged(stored, { registryId: other })),
      ['1 REGISTRY_DIFFERS', '2 BACKLINKS_WRONG'],
    ],
    [
      'a hand-over without its checkpoint',
      { without: ['checkpoint', 16, 16] },
      ['16 CHECKPOINT_MISSING'],
    ],
    [
      'a newest entry without its checkpoint',
      { without: ['checkpoint', 232, 232] },
      ['232 CHECKPOINT_MISSING'],
    ],
    [
      'a request that is about another version',
      {
        without: ['checkpoint', 14, 14],
        ...ofEntry(14, (stored) => forged(stored, { subject: linkTo(3) })),
      },
      ['14 SUBJECT_LINK_WRONG', '15 BACKLINKS_WRONG'],
    ],
    [
      'a signature that answers no request',
      {
        without: ['checkpoint', 15, 15],
        ...ofEntry(15, (stored) => forged(stored, { subject: linkTo(2) })),
      },
      ['15 SUBJECT_LINK_WRONG', '16 BACKLINKS_WRONG'],
    ],
    [
      'a peer list that does not say which one was before',
      {
        without: ['checkpoint', 16, 16],
        ...ofEntry(16, (stored) => forged(stored, { subject: linkTo(2) })),
      },
      ['16 SUBJECT_LINK_WRONG', '17 BACKLINKS_WRONG'],
    ],
  ])('%s', async (_what, damage, findings) => {
    expect(await findingsOf(damage)).toEqual(findings);
  });

  test('confirmations that cannot be read', async () => {
    const copy = await audited(ledger);
    const broken = answering(copy.store, {
      confirmations: async () => {
        throw new StoredDamage('the item CONFIRMATION#1 has no proper attribute "value"');
      },
    });

    const outcome = await runAudit({ ...copy.ports, store: broken }, copy.registryId, WHOLE);

    expect(foundIn(outcome)).toEqual(['1 STORED_DAMAGE', '101 STORED_DAMAGE', '133 STORED_DAMAGE']);
  });

  test('a state item that cannot be read, and looks at the others all the same', async () => {
    const copy = await audited(ledger);
    copy.store.damage = ofItem(documentKey(documentAt(40).documentId), undefined);
    const unreadable = transactionKey(ledger.entryAt(35).transactionId);
    const broken = answering(copy.store, {
      read: async (registryId, keys) => {
        if (keys.includes(unreadable)) throw new StoredDamage(`the item ${unreadable} was damaged`);
        return copy.store.read(registryId, keys);
      },
    });

    const outcome = await runAudit({ ...copy.ports, store: broken }, copy.registryId, WHOLE);

    expect(foundIn(outcome)).toEqual(['35 STORED_DAMAGE', '40 STATE_ITEM_DIFFERS']);
  });

  test('what was noted of the own copy that cannot be read, at the head', async () => {
    const copy = await audited(ledger);
    const broken = answering(copy.store, {
      progress: async () => {
        throw new StoredDamage('the item PROGRESS#1 was damaged');
      },
    });

    const outcome = await runAudit({ ...copy.ports, store: broken }, copy.registryId, WHOLE);

    expect(foundIn(outcome)).toEqual(['232 STORED_DAMAGE']);
    expect(copy.alarms.signals).toEqual(['AuditFindings', 'ConflictsOpened', 'OpenConflicts']);
  });
});

describe('a run over the head finds', () => {
  test.each<readonly [string, (head: Head) => Partial<Head>, string]>([
    ['another digest', () => ({ digest: other }), '232 HEAD_DIFFERS'],
    ['another time', () => ({ timestamp: timeAfter(999) }), '232 HEAD_DIFFERS'],
    [
      'a tower with a level less',
      ({ tower }) => ({ tower: tower.slice(0, -1) }),
      '232 HEAD_DIFFERS',
    ],
    [
      'a tower with another digest',
      ({ tower }) => ({ tower: tower.map((link) => ({ ...link, digest: other })) }),
      '232 HEAD_DIFFERS',
    ],
    [
      'another peer list',
      ({ configuration }) => ({ configuration: { ...configuration, peers: [b.certificateId] } }),
      '232 HEAD_DIFFERS',
    ],
    [
      'another configuration entry',
      ({ configuration }) => ({ configuration: { ...configuration, digest: other } }),
      '232 HEAD_DIFFERS',
    ],
    [
      'another checkpoint',
      () => ({ checkpoint: ledger.commits.at(-2)?.write.head.checkpoint as Compact }),
      '232 CHECKPOINT_DIFFERS',
    ],
    ['a peer too few of all lists', () => ({ everPeers: [b.certificateId] }), '232 HEAD_DIFFERS'],
    [
      'a peer of no list',
      ({ everPeers }) => ({ everPeers: [...everPeers, testPeer().certificateId] }),
      '232 HEAD_DIFFERS',
    ],
    ['more entries than there are', () => ({ sequence: 233 as Sequence }), '233 ENTRY_MISSING'],
  ])('%s', async (_what, head, finding) => {
    expect(await findingsOf({ head })).toEqual([finding]);
  });

  test('that an older head was put back in place of the newest', async () => {
    const { write } = ledger.commits.at(-2) as (typeof ledger.commits)[number];

    expect(await findingsOf({ head: () => write.head })).toEqual(['220 HEAD_DIFFERS']);
  });

  test('nothing where it moves on in the middle', async () => {
    const growing = longLedger();
    const copy = await audited(growing);
    const write = () => growing.commits.at(-1)?.write as (typeof growing.commits)[number]['write'];
    uploads(growing, 3);
    await growing.fillBlobs(copy.blobs);
    let calls = 0;
    const moving = answering(copy.store, {
      entriesAt: async (...parameters) => {
        calls += 1;
        if (calls === 1) await copy.store.commit(write());
        return copy.store.entriesAt(...parameters);
      },
    });

    const outcome = await runAudit({ ...copy.ports, store: moving }, copy.registryId, WHOLE);

    expect(outcome).toMatchObject({ outcome: 'audited', through: 232, findings: [] });
    expect((await copy.store.head(copy.registryId))?.sequence).toBe(235);
  });

  test('that it cannot be read, which no conflict can be put on', async () => {
    const copy = await audited(ledger);
    const broken = answering(copy.store, {
      head: async () => {
        throw new StoredDamage('the item HEAD#1 was damaged');
      },
    });

    const outcome = await runAudit({ ...copy.ports, store: broken }, copy.registryId, WHOLE);

    expect(outcome).toMatchObject({ outcome: 'damaged', finding: { code: 'STORED_DAMAGE' } });
    expect(copy.alarms.signals).toEqual(['AuditFindings']);
    expect(await copy.store.conflicts(copy.registryId)).toEqual([]);
  });
});

describe('a run over confirmations', () => {
  const damaged = (sequence: number, change: Partial<Confirmation>): Damage => ({
    confirmation: (found) => (found.sequence === sequence ? change : {}),
  });
  const newest = ledger.head.checkpoint;

  test.each<readonly [string, Damage, string]>([
    ['one that is none', damaged(13, { statement: 'x' as Compact }), '13 STATEMENT_MALFORMED'],
    ['another checkpoint with it', damaged(28, { checkpoint: newest }), '28 CHECKPOINT_DIFFERS'],
    [
      'one of another entry',
      damaged(28, {
        statement: a.sign(confirmationFor(ledger.head, a)),
        checkpoint: newest,
        digest: ledger.head.digest,
      }),
      '28 CHECKPOINT_DIFFERS',
    ],
    [
      'another digest beside it',
      damaged(232, { digest: other }),
      '232 STORED_CONFIRMATION_DIFFERS',
    ],
    ['another copy beside it', damaged(232, { copy: 2 }), '232 STORED_CONFIRMATION_DIFFERS'],
  ])('finds %s', async (_what, damage, finding) => {
    expect(await findingsOf(damage)).toEqual([finding]);
  });

  test('finds a checkpoint with one that the lead did not sign', async () => {
    const { sequence, digest, registryId } = ledger.head;
    const at = { registryId, sequence, digest, copy: 1, issuedAt: timeAfter(1) };
    const checkpoint = c.sign(checkpointOf({ ...at, signer: c.certificateId }));

    expect(await findingsOf(damaged(232, { checkpoint }))).toEqual(['232 LEAD_DIFFERS']);
  });

  test('counts nothing that somebody said about a time before it was a peer', async () => {
    const joined = new TestLedger([a, b, c], [a, b]);
    joined.upload('plan-1');
    joined.confirm(c, { digest: other });
    joined.reconfigure(a, b, c);
    joined.confirm(c);
    const copy = await audited(joined);

    expect(await copy.run()).toMatchObject({ findings: [], confirmations: 1 });
  });
});

describe('the documents of a mirror', () => {
  const last = ledger.head.sequence;
  const { contentDigest } = transactionAt(last) as { readonly contentDigest: Digest };

  async function mirrorWithout(verifiedThrough: number, confirmed: boolean) {
    const of = longLedger();
    if (!confirmed) of.confirmations.splice(0);
    const copy = await audited(of, { self: a });
    const progress = { registryId: of.registryId, confirmedThrough: 0, failures: 0 };
    await copy.store.putProgress({ ...progress, verifiedThrough });
    copy.blobs.lose(contentDigest);
    return foundIn(await copy.run());
  }

  test('are no finding while they are still to be fetched', async () => {
    expect(await mirrorWithout(last - 1, false)).toEqual([]);
  });

  test('are missing once they were fetched', async () => {
    expect(await mirrorWithout(last, false)).toEqual([`${last} DOCUMENT_MISSING`]);
  });

  test('are missing once it has confirmed them, whatever else is noted', async () => {
    expect(await mirrorWithout(0, true)).toEqual([`${last} DOCUMENT_MISSING`]);
  });
});

describe('a document whose first object was set aside', () => {
  const { contentDigest } = transactionAt(35) as { readonly contentDigest: Digest };
  const setAside: Damage = { head: () => ({ contents: { [contentDigest]: 2 } }) };
  const bytes = ledger.documents.get(contentDigest) as Buffer;

  async function copyWith(second?: Buffer) {
    const copy = await audited(ledger);
    copy.store.damage = setAside;
    copy.blobs.corrupt(contentDigest, Buffer.from('evidence'));
    const chunks = async function* () {
      yield bytes;
    };
    const content = { contentDigest, size: bytes.length, generation: 2 };
    if (second !== undefined) await copy.blobs.put(content, chunks());
    return copy;
  }

  test('is sound by the object in its place', async () => {
    expect(foundIn(await (await copyWith(bytes)).run())).toEqual([]);
  });

  test('is no finding while it is still to be fetched again', async () => {
    expect(foundIn(await (await copyWith()).run())).toEqual([]);
  });

  test('is looked at in the next run where it was set aside during this one', async () => {
    const copy = await audited(ledger);
    copy.blobs.corrupt(contentDigest, Buffer.from('evidence'));
    let heads = 0;
    copy.store.damage = {
      head: () => {
        heads += 1;
        return heads > 1 ? { contents: { [contentDigest]: 2 } } : {};
      },
    };

    expect(await copy.run()).toEqual({ outcome: 'copy-changed' });
    expect(copy.alarms.raised).toEqual([]);
  });
});

describe('what a run finds', () => {
  test('becomes an alarm and a conflict of the instance with itself', async () => {
    const copy = await audited(ledger);
    copy.store.damage = ofEntry(35, () => ({ digest: other }));
    const { digest } = ledger.entryAt(35);

    await copy.run();

    expect(copy.alarms.signals).toEqual(['AuditFindings', 'ConflictsOpened', 'OpenConflicts']);
    expect(copy.alarms.raised[0]?.facts).toMatchObject({
      registryId: ledger.registryId,
      sequence: 35,
      code: 'STORED_ENTRY_DIFFERS',
      expected: other,
      found: digest,
    });
    const [opened, ...more] = await copy.store.conflicts(copy.registryId);
    expect(more).toEqual([]);
    const said = payloadOfCompact(opened?.statement as Compact);
    expect(said).toMatchObject({
      kind: 'local-tampering',
      sequence: 35,
      accused: b.certificateId,
      signer: b.certificateId,
      digests: [other, digest].sort(),
    });
    const [evidence] = said['evidence'] as Digest[];
    const bytes = await copy.blobs.evidence(evidence as Digest);
    expect(JSON.parse(Buffer.from(bytes ?? '').toString())).toMatchObject({
      format: 'registry/evidence/v1',
      kind: 'local-tampering',
      registryId: ledger.registryId,
      sequence: 35,
      detail: expect.stringMatching(/^STORED_ENTRY_DIFFERS: entry 35 comes out to /),
    });
    expect((await copy.store.head(copy.registryId))?.openConflicts).toEqual([opened?.conflictId]);
  });

  test.each<
    readonly [string, Partial<Record<'expected' | 'found', Digest>>, Damage | 'lost' | 'changed']
  >([
    ['a head', { expected: ledger.head.digest, found: other }, { head: () => ({ digest: other }) }],
    ['bytes', { expected: digestIn(232), found: digestOf(otherBytes(232)) }, 'changed'],
    ['bytes that are gone', { expected: digestIn(232) }, 'lost'],
  ])('says of %s what was recorded and what is there, wherever it says it', async (_what, seen, how) => {
    const copy = await audited(ledger);
    if (how === 'lost') copy.blobs.lose(digestIn(232));
    else if (how === 'changed') copy.blobs.corrupt(digestIn(232), otherBytes(232));
    else copy.store.damage = how;

    await copy.run();

    const said = copy.alarms.raised
      .filter(({ signal }) => signal === 'AuditFindings' || signal === 'ConflictsOpened')
      .map(({ signal, facts: { expected, found } }) => ({ signal, expected, found }));
    const { expected, found } = seen;
    expect(said).toEqual([
      { signal: 'AuditFindings', expected, found },
      { signal: 'ConflictsOpened', expected, found },
    ]);
  });

  test('is recorded once, however often it is found', async () => {
    const copy = await audited(ledger);
    copy.store.damage = { lost: 205 };

    for (let n = 0; n < 3; n += 1) await copy.run();

    expect(await copy.store.conflicts(copy.registryId)).toHaveLength(1);
    expect(copy.alarms.signals.filter((signal) => signal === 'ConflictsOpened')).toHaveLength(1);
    expect(copy.alarms.signals.filter((signal) => signal === 'AuditFindings')).toHaveLength(3);
    expect(await copy.store.auditProgress(copy.registryId)).toMatchObject({
      findings: 3,
      lastFinding: { sequence: 205, code: 'ENTRY_MISSING' },
    });
  });

  test('is one conflict at a time: peers take one such word of an instance', async () => {
    const copy = await audited(ledger);
    copy.store.damage = { lost: 205, unreadable: 35 };

    expect(foundIn(await copy.run())).toEqual(['35 STORED_DAMAGE', '205 ENTRY_MISSING']);
    expect(foundIn(await copy.run())).toHaveLength(2);

    const conflicts = await copy.store.conflicts(copy.registryId);
    expect(conflicts.map(({ statement }) => payloadOfCompact(statement)['sequence'])).toEqual([35]);
  });

  test('is told of 100 entries at most: where all are gone, that is enough', async () => {
    const copy = await audited(ledger);
    copy.store.damage = { entry: () => ({ digest: other }) };

    expect(foundIn(await copy.run())).toHaveLength(100);
    expect(copy.alarms.signals.filter((signal) => signal === 'AuditFindings')).toHaveLength(100);
  });

  test('is recorded even where the conflicts so far cannot be read', async () => {
    const copy = await audited(ledger);
    copy.store.damage = { lost: 205 };
    await copy.run();
    const broken = answering(copy.store, {
      conflicts: async () => {
        throw new StoredDamage('the item CONFLICT#1 was damaged');
      },
    });
    copy.store.damage = { lost: 206 };

    await runAudit({ ...copy.ports, store: broken }, copy.registryId, WHOLE);

    expect((await copy.store.head(copy.registryId))?.openConflicts).toHaveLength(2);
  });

  test('may hold anything that stands in the table', async () => {
    const copy = await audited(ledger);
    const strange = `e\u0301\0\ud800${'x'.repeat(100_000)}`;
    copy.store.damage = ofEntry(35, () => ({ transactionId: strange }));

    await copy.run();

    expect(await copy.store.conflicts(copy.registryId)).toHaveLength(1);
    expect(JSON.stringify(copy.alarms.raised).length).toBeLessThan(10_000);
  });

  test('does not count where a set-aside began another copy meanwhile', async () => {
    const copy = await audited(ledger);
    let heads = 0;
    copy.store.damage = {
      lost: 35,
      head: () => {
        heads += 1;
        return heads > 1 ? { copy: 2 } : {};
      },
    };

    expect(await copy.run()).toEqual({ outcome: 'copy-changed' });
    expect(copy.alarms.raised).toEqual([]);
    expect(await copy.store.conflicts(copy.registryId)).toEqual([]);
    expect(await copy.store.auditProgress(copy.registryId)).toBeUndefined();
  });

  test('is found again where it could not be recorded', async () => {
    const copy = await audited(ledger);
    copy.store.damage = { lost: 35 };
    const failing = answering(copy.store, {
      openConflict: async () => {
        throw new Error('the table does not answer');
      },
    });

    const run = runAudit({ ...copy.ports, store: failing }, copy.registryId, WHOLE);
    await expect(run).rejects.toThrow(/could not be recorded/);
    expect(await copy.store.auditProgress(copy.registryId)).toBeUndefined();

    expect(foundIn(await copy.run())).toEqual(['35 ENTRY_MISSING']);
  });
});

describe('a run that fails', () => {
  test('is thrown and notes nothing, so that the next one tries the same', async () => {
    const copy = await audited(ledger);
    let failures = 1;
    const failing = answering(copy.store, {
      confirmations: async (...parameters) => {
        failures -= 1;
        if (failures >= 0) throw new Error('throttled');
        return copy.store.confirmations(...parameters);
      },
    });
    const ports = { ...copy.ports, store: failing };

    await expect(runAudit(ports, copy.registryId, WHOLE)).rejects.toThrow('throttled');
    expect(await copy.store.auditProgress(copy.registryId)).toBeUndefined();

    expect(await runAudit(ports, copy.registryId, WHOLE)).toMatchObject({ from: 1, through: 232 });
    expect(copy.alarms.raised).toEqual([]);
  });
});

describe('runs', () => {
  test('go on where the last one came to, and begin anew behind the head', async () => {
    const copy = await audited(ledger);
    const slices: unknown[] = [];

    for (let n = 0; n < 4; n += 1) {
      const outcome = await copy.run({ runEveryMs: HOUR_MS });
      if (outcome.outcome === 'audited')
        slices.push([outcome.from, outcome.through, outcome.passes]);
      copy.time.nowMs += HOUR_MS;
    }

    expect(slices).toEqual([
      [1, 100, 0],
      [101, 200, 0],
      [201, 232, 1],
      [1, 100, 1],
    ]);
    expect(await copy.store.auditProgress(copy.registryId)).toEqual({
      registryId: ledger.registryId,
      copy: 1,
      nextFrom: 101,
      passes: 1,
      findings: 0,
      passStartedAt: new Date(START + DAY_MS + 2 * HOUR_MS).toISOString(),
      readsBytes: false,
      bytesPassStartedAt: new Date(START + DAY_MS).toISOString(),
      lastRunAt: new Date(START + DAY_MS + 3 * HOUR_MS).toISOString(),
    });
  });

  test('take no more entries than they may, and look at the newest in each', async () => {
    const copy = await audited(ledger);

    const outcome = await copy.run({ entriesMax: 10 });

    expect(outcome).toMatchObject({ from: 1, through: 10, entries: 110 });
    for (let sequence = 133; sequence <= 232; sequence += 1)
      expect(copy.store.asked).toContain(sequence);
  });

  test('begin anew with a copy that a set-aside began', async () => {
    const copy = await audited(ledger);
    const at = timeAfter(0);
    await copy.store.putAuditProgress({
      ...{ registryId: copy.registryId, copy: 2, nextFrom: 150, passes: 7, findings: 1 },
      ...{ passStartedAt: at, bytesPassStartedAt: at, lastRunAt: at, readsBytes: true },
    });

    expect(await copy.run()).toMatchObject({ from: 1, through: 232, passes: 8 });
  });

  test('begin anew where what is noted cannot be read', async () => {
    const copy = await audited(ledger);
    const broken = answering(copy.store, {
      auditProgress: async () => {
        throw new StoredDamage('the item AUDIT#1 was damaged');
      },
    });

    const outcome = await runAudit({ ...copy.ports, store: broken }, copy.registryId, WHOLE);

    expect(outcome).toMatchObject({ outcome: 'audited', from: 1, findings: [] });
    expect(copy.alarms.signals).toEqual(['AuditFindings']);
    expect(await copy.store.conflicts(copy.registryId)).toEqual([]);
  });

  test('end in time, and go on with the first entry that they did not come to', async () => {
    const copy = await audited(ledger);
    const deadlineMs = copy.time.nowMs + 1000;
    const slow = answering(copy.blobs as never, {}) as unknown as typeof copy.blobs;
    const get = copy.blobs.get.bind(copy.blobs);
    slow.get = async (contentDigest) => {
      copy.time.nowMs += 50;
      return get(contentDigest);
    };

    const first = await runAudit({ ...copy.ports, blobs: slow }, copy.registryId, {
      ...WHOLE,
      deadlineMs,
    });
    const second = await copy.run();

    expect(first).toMatchObject({ outcome: 'audited', from: 1, through: 23, documents: 19 });
    expect(second).toMatchObject({ from: 24, through: 232 });
  });

  test('look at the newest entries and the head even where there is no time for more', async () => {
    const copy = await audited(ledger);
    copy.store.damage = { head: () => ({ digest: other }) };

    const outcome = await copy.run({ deadlineMs: copy.time.nowMs });

    expect(outcome).toMatchObject({ from: 1, through: 0, entries: 100, documents: 0 });
    expect(foundIn(outcome)).toEqual(['232 HEAD_DIFFERS']);
  });
});

describe('the bytes of documents', () => {
  const size = ledger.documents.values().next().value?.length ?? 0;

  test('are read as far as a run may, and the next one goes on with the document after', async () => {
    const copy = await audited(ledger);

    const first = await copy.run({ bytesMax: 3 * size + 1 });
    const second = await copy.run({ bytesMax: 3 * size + 1 });

    expect(first).toMatchObject({ from: 1, through: 4, documents: 3, bytes: 3 * size });
    expect(second).toMatchObject({ from: 5, documents: 3 });
  });

  test('are read one document at least: a large one is not left out for ever', async () => {
    const copy = await audited(ledger);

    expect(await copy.run({ bytesMax: 1 })).toMatchObject({
      through: 2,
      documents: 1,
      bytes: size,
    });
  });

  test('of a short ledger are read again after half of the period, their sizes in each pass', async () => {
    const short = new TestLedger([a, b, c]);
    uploads(short, 5);
    const copy = await audited(short);
    const runs: unknown[] = [];

    for (let day = 0; day < 40; day += 1) {
      const outcome = await copy.run({ runEveryMs: DAY_MS });
      if (outcome.outcome === 'audited' && outcome.documents > 0)
        runs.push([day, outcome.documents]);
      copy.time.nowMs += DAY_MS;
    }

    expect(runs).toEqual([
      [0, 5],
      [16, 5],
      [31, 5],
    ]);
  });

  test('that are gone are found in the very next pass', async () => {
    const short = new TestLedger([a, b, c]);
    uploads(short, 5);
    const copy = await audited(short);
    await copy.run({ runEveryMs: HOUR_MS });
    const [contentDigest = other] = short.documents.keys();
    copy.blobs.lose(contentDigest);

    expect(foundIn(await copy.run({ runEveryMs: HOUR_MS }))).toEqual(['2 DOCUMENT_MISSING']);
  });
});

describe('a copy in a table that was restored', () => {
  const elsewhere: Damage = { head: () => ({ tableId: 'another' }) };

  test('is told at the lead', async () => {
    const copy = await audited(ledger);
    copy.store.damage = elsewhere;

    expect(await copy.run()).toMatchObject({ outcome: 'table-changed', findings: [] });
  });

  test('is of no account at a mirror', async () => {
    const copy = await audited(ledger, { self: a });
    copy.store.damage = elsewhere;

    expect(await copy.run()).toMatchObject({ outcome: 'audited', findings: [] });
  });
});
