import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { buildReceipt, type ReceiptParts } from '../../shared/ledger/receipt.ts';
import { redactionOf } from '../../shared/ledger/redaction.ts';
import { verifyReceipt } from '../../shared/ledger/verify-receipt.ts';
import {
  checkpointFor,
  confirmationFor,
  createRegistry,
  reconfigurePeers,
  TestLedger,
  type TestPeer,
  testPeer,
  uploadDocument,
} from '../builders.ts';
import { testApplication, testAuthority } from '../certificate-authority.ts';
import { type Forged, forgeCommit } from '../forged-commit.ts';
import { certificateFor, certificatesFor, partsOf, TestCluster, verifyParts } from './receipts.ts';

const cluster = new TestCluster();
const [a, b, c, d] = [testPeer(), testPeer(), testPeer(), testPeer()];
const peers = [a, b, c, d];

/**
 * a leads entries 1 to 3, b 4 to 7, a again; c never confirms entry 6, and is replaced by d in 7.
 * The receipt of entry 6 has everything that a receipt can have but a redaction.
 */
function eventfulLedger(): TestLedger {
  const ledger = new TestLedger(peers, [a, b, c]);
  ledger.upload('plan-1');
  ledger.reconfigure(b, a, c);
  ledger.upload('plan-2', 'plan-3', 'plan-4');
  ledger.reconfigure(b, a, d);
  ledger.upload('plan-5', 'plan-6');
  ledger.confirm(a);
  ledger.upload('plan-7');
  ledger.confirm(d);
  return ledger;
}

const ENTRY = 5;
const LATER = 7;

function eventful(): { ledger: TestLedger; parts: ReceiptParts } {
  const ledger = eventfulLedger();
  return { ledger, parts: partsOf(cluster, ledger, ENTRY, LATER) };
}

/** The code, or what else came out. */
function codeOf(ledger: TestLedger, parts: ReceiptParts): string {
  const outcome = verifyParts(cluster, ledger, parts);
  return outcome.outcome === 'refused' ? outcome.code : outcome.outcome;
}

function refusalOf(ledger: TestLedger, parts: ReceiptParts): string {
  const outcome = verifyParts(cluster, ledger, parts);
  return outcome.outcome === 'refused' ? `${outcome.code}: ${outcome.detail}` : outcome.outcome;
}

/** With the certificates of exactly those who sign the parts. */
function certified(ledger: TestLedger, parts: ReceiptParts): ReceiptParts {
  return { ...parts, certificates: certificatesFor(cluster, ledger, parts) };
}

type Value = Record<string, unknown>;

/** The receipt with its members changed by hand. */
function changed(parts: ReceiptParts, change: (receipt: Value) => Value): Buffer {
  return encodeCanonical(change(JSON.parse(buildReceipt(parts).toString())));
}

/** A peer's signed checkpoint of an entry. */
function checkpointBy(peer: TestPeer, ledger: TestLedger, sequence: number): Compact {
  return peer.sign({ ...checkpointFor(headAt(ledger, sequence), peer) });
}

function confirmationBy(peer: TestPeer, ledger: TestLedger, sequence: number): Compact {
  return peer.sign({ ...confirmationFor(headAt(ledger, sequence), peer) });
}

function headAt(ledger: TestLedger, sequence: number) {
  const { digest } = ledger.entryAt(sequence);
  return { ...ledger.head, sequence: sequence as Sequence, digest };
}

test('the receipt that the following tests change verifies', () => {
  const { ledger, parts } = eventful();

  expect(verifyParts(cluster, ledger, parts)).toMatchObject({
    status: { status: 'final-since', since: LATER, without: [c.certificateId] },
  });
  expect(parts.handOvers).toHaveLength(1);
  expect(parts.path.length).toBeGreaterThan(1);
});

describe('bytes that are no receipt are refused:', () => {
  test('another encoding of one', () => {
    const { ledger, parts } = eventful();
    const value = JSON.parse(buildReceipt(parts).toString());
    const spaced = Buffer.from(JSON.stringify(value, null, 1));

    expect(verifyReceipt(spaced, cluster.trust(ledger))).toMatchObject({ code: 'NOT_CANONICAL' });
  });

  test.each([
    ['another format', { format: 'registry/receipt/v2' }, 'UNKNOWN_FORMAT'],
    ['a member that no receipt has', { remark: 'final' }, 'UNKNOWN_MEMBER'],
    ['something else than a list', { path: 'none' }, 'SCHEMA_VIOLATION'],
    ['no certificate', { certificates: [] }, 'SCHEMA_VIOLATION'],
  ])('%s', (_what, members, code) => {
    const { ledger, parts } = eventful();
    const bytes = changed(parts, (receipt) => ({ ...receipt, ...members }));

    expect(verifyReceipt(bytes, cluster.trust(ledger))).toMatchObject({ code });
  });

  test('more than one answer can carry', () => {
    const { ledger } = eventful();
    const bytes = Buffer.alloc(limits.deliveryBytesMax + 1, ' ');

    expect(verifyReceipt(bytes, cluster.trust(ledger))).toMatchObject({ code: 'TOO_LARGE' });
  });
});

test('a CA that cannot be read is the caller’s mistake', () => {
  const { ledger, parts } = eventful();
  const trust = { clusterCaPem: 'no certificate', registryId: ledger.registryId };

  expect(() => verifyReceipt(buildReceipt(parts), trust)).toThrow('the cluster CA');
});

describe('a receipt is refused', () => {
  test('for another registry than it is of', () => {
    const { ledger, parts } = eventful();
    const registryId = new TestLedger(peers).registryId;

    expect(
      verifyReceipt(buildReceipt(parts), { ...cluster.trust(ledger), registryId }),
    ).toMatchObject({ code: 'REGISTRY_DIFFERS' });
  });

  test('for another cluster than it is of', () => {
    const { ledger, parts } = eventful();
    const clusterCaPem = testAuthority().certificatePem;

    expect(
      verifyReceipt(buildReceipt(parts), { ...cluster.trust(ledger), clusterCaPem }),
    ).toMatchObject({
      code: 'RECEIPT_CERTIFICATE_REFUSED',
      detail: expect.stringContaining('CERTIFICATE_UNTRUSTED'),
    });
  });

  test('with any member of the receipt of another entry or of another registry', () => {
    const { ledger, parts } = eventful();
    const own = JSON.parse(buildReceipt(parts).toString());
    const others = [
      buildReceipt(partsOf(cluster, ledger, 4, LATER)),
      buildReceipt(partsOf(cluster, eventfulLedger(), ENTRY, LATER)),
    ].map((bytes) => JSON.parse(bytes.toString()));
    let swaps = 0;
    for (const other of others)
      for (const name of Object.keys(own)) {
        const bytes = encodeCanonical({ ...own, [name]: other[name] });
        if (bytes.equals(encodeCanonical(own))) continue;
        swaps += 1;
        expect(verifyReceipt(bytes, cluster.trust(ledger)).outcome).toBe('refused');
      }

    expect(swaps).toBe(10);
  });

  test('without any one of its members, and of the things in its lists', () => {
    const { ledger, parts } = eventful();
    const own = JSON.parse(buildReceipt(parts).toString()) as Value;
    let left = 0;
    for (const smaller of withoutOne(own)) {
      left += 1;
      expect(verifyReceipt(encodeCanonical(smaller), cluster.trust(ledger)).outcome).toBe(
        'refused',
      );
    }

    expect(left).toBeGreaterThan(30);
  });

  test('with any thing of its lists twice', () => {
    const { ledger, parts } = eventful();
    const own = JSON.parse(buildReceipt(parts).toString()) as Value;
    const lists = Object.entries(own).filter(([, value]) => Array.isArray(value));
    for (const [name, value] of lists)
      for (const thing of value as unknown[]) {
        const longer = { ...own, [name]: [...(value as unknown[]), thing] };
        expect(verifyReceipt(encodeCanonical(longer), cluster.trust(ledger)).outcome).toBe(
          'refused',
        );
      }

    expect(lists).toHaveLength(5);
  });

  test('with any one bit changed', () => {
    const { ledger, parts } = eventful();
    const receipt = buildReceipt(parts);
    const trust = cluster.trust(ledger);

    fc.assert(
      fc.property(fc.nat(receipt.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(receipt);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(verifyReceipt(flipped, trust).outcome).toBe('refused');
      }),
      { numRuns: 1000 },
    );
  });
});

/** Every value with one member, at any depth of objects and lists, left out. */
function* withoutOne(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) yield* withoutItem(value);
  else if (typeof value === 'object' && value !== null) yield* withoutMember(value as Value);
}

function* withoutItem(list: readonly unknown[]): Generator<unknown> {
  for (const [index, item] of list.entries()) {
    yield list.toSpliced(index, 1);
    for (const smaller of withoutOne(item)) yield list.toSpliced(index, 1, smaller);
  }
}

function* withoutMember(object: Value): Generator<unknown> {
  for (const [name, item] of Object.entries(object)) {
    const { [name]: _left, ...others } = object;
    yield others;
    for (const smaller of withoutOne(item)) yield { ...others, [name]: smaller };
  }
}

describe('of certificates a receipt is refused with', () => {
  test('one that nobody in it signed with', () => {
    const { ledger, parts } = eventful();
    const certificates = [...parts.certificates, cluster.certificate(c).der];

    expect(refusalOf(ledger, { ...parts, certificates })).toMatch(/^RECEIPT_MALFORMED.*signed/);
  });

  test('none of a signer, or another one’s', () => {
    const { ledger, parts } = eventful();
    const others = parts.certificates.filter((der) => der !== cluster.certificate(d).der);

    expect(refusalOf(ledger, { ...parts, certificates: others })).toMatch(
      /^RECEIPT_MALFORMED: the receipt lacks the certificate/,
    );
    expect(
      refusalOf(ledger, { ...parts, certificates: [...others, cluster.certificate(c).der] }),
    ).toMatch(/^RECEIPT_MALFORMED: the receipt lacks the certificate/);
  });

  test('two of one signer', () => {
    const { ledger, parts } = eventful();
    const certificates = [...parts.certificates, certificateFor(cluster.authority, d).der];

    expect(refusalOf(ledger, { ...parts, certificates })).toMatch(/two certificates/);
  });

  test.each([
    ['from another CA', () => certificateFor(testAuthority(), d).der, 'CERTIFICATE_UNTRUSTED'],
    [
      'of an application',
      () => testApplication(cluster.authority).der,
      'CERTIFICATE_WITHOUT_ENDPOINT',
    ],
    ['of an authority', () => cluster.authority.der, 'CERTIFICATE_IS_CA'],
    ['that is none', () => Buffer.from('certificate'), 'CERTIFICATE_MALFORMED'],
  ])('one %s, naming why', (_what, der, code) => {
    const { ledger, parts } = eventful();
    const others = parts.certificates.filter((each) => each !== cluster.certificate(d).der);

    expect(refusalOf(ledger, { ...parts, certificates: [...others, der()] })).toMatch(
      new RegExp(`^RECEIPT_CERTIFICATE_REFUSED: .*${code}`),
    );
  });

  test('another order or encoding of them', () => {
    const { ledger, parts } = eventful();
    const trust = cluster.trust(ledger);
    const turned = changed(parts, (receipt) => ({
      ...receipt,
      certificates: (receipt['certificates'] as string[]).toReversed(),
    }));
    const spaced = changed(parts, (receipt) => ({
      ...receipt,
      certificates: (receipt['certificates'] as string[]).map((text) => `${text} `),
    }));

    expect(verifyReceipt(turned, trust)).toMatchObject({ code: 'RECEIPT_MALFORMED' });
    expect(verifyReceipt(spaced, trust)).toMatchObject({ code: 'RECEIPT_MALFORMED' });
  });
});

describe('of transaction and details a receipt is refused with', () => {
  test('another transaction than the entry names', () => {
    const { ledger, parts } = eventful();
    const { transaction } = ledger.entryAt(2);

    expect(codeOf(ledger, { ...parts, transaction })).toBe('TRANSACTION_DIGEST_DIFFERS');
  });

  test('other details than the transaction names, or none', () => {
    const { ledger, parts } = eventful();
    const details = encodeCanonical({ ...JSON.parse(String(parts.details)), name: 'Anders' });
    const { details: _left, ...without } = parts;

    expect(codeOf(ledger, { ...parts, details })).toBe('DETAILS_DIGEST_DIFFERS');
    expect(codeOf(ledger, without)).toBe('DETAILS_MISSING');
  });
});

describe('of redactions a receipt is refused with', () => {
  const operator = testPeer();

  /** The receipt with a redaction by d, signed over these payloads. */
  function redacted(changes: Value = {}, decided: Value = changes) {
    const { ledger, parts } = eventful();
    const payload = redactionOf({
      registryId: ledger.registryId,
      sequence: ENTRY as Sequence,
      signer: d.certificateId,
      decidedBy: operator.certificateId,
      reason: 'Name einer Person',
    });
    const { details, ...others } = parts;
    const statement = d.sign({ ...payload, ...changes } as typeof payload);
    const decision = operator.sign({ ...payload, ...decided } as typeof payload);
    return { ledger, details, parts: { ...others, redaction: { statement, decision } } };
  }

  test('nothing wrong in it: it verifies', () => {
    const { ledger, parts } = redacted();

    expect(codeOf(ledger, parts)).toBe('verified');
  });

  test('one of another entry or registry', () => {
    const of = [{ sequence: 4 }, { registryId: digestOf('other') }].map((changes) => {
      const { ledger, parts } = redacted(changes);
      return codeOf(ledger, parts);
    });

    expect(of).toEqual(['REDACTION_DIFFERS', 'STATEMENT_REGISTRY_DIFFERS']);
  });

  test('one that the operator did not decide so', () => {
    const { ledger, parts } = redacted({}, { reason: 'Anders' });

    expect(codeOf(ledger, parts)).toBe('REDACTION_DIFFERS');
  });

  test('one beside the details, or of what has none', () => {
    const { ledger, parts, details } = redacted();
    const list = partsOf(cluster, ledger, LATER);
    const payload = redactionOf({
      registryId: ledger.registryId,
      sequence: LATER as Sequence,
      signer: d.certificateId,
      decidedBy: operator.certificateId,
      reason: 'Liste',
    });
    const redaction = { statement: d.sign(payload), decision: operator.sign(payload) };

    expect(codeOf(ledger, { ...parts, ...(details === undefined ? {} : { details }) })).toBe(
      'DETAILS_NOT_EXPECTED',
    );
    expect(codeOf(ledger, { ...list, redaction })).toBe('DETAILS_NOT_EXPECTED');
  });

  test('one of somebody whose certificate is not there', () => {
    const { ledger, parts } = redacted();
    const { details: _left, ...others } = partsOf(cluster, ledger, ENTRY);

    expect(refusalOf(ledger, { ...others, redaction: parts.redaction })).toMatch(
      /^RECEIPT_MALFORMED: the receipt lacks the certificate/,
    );
  });
});

describe('of peer lists a receipt is refused with', () => {
  test('none from entry 1 on', () => {
    const { ledger, parts } = eventful();
    const [first, second] = parts.configurations;

    expect(codeOf(ledger, { ...parts, configurations: [] })).toBe('NOT_FIRST_ENTRY');
    if (first === undefined || second === undefined) throw new Error('there are two lists');
    expect(codeOf(ledger, { ...parts, configurations: [second] })).toBe('NOT_FIRST_ENTRY');
    expect(codeOf(ledger, { ...parts, configurations: [first] })).toBe('CONFIGURATION_LINK_WRONG');
  });

  test('an entry among them that brings no list', () => {
    const ledger = new TestLedger([a]);
    ledger.upload('plan-1');
    ledger.upload('plan-2');
    const parts = partsOf(cluster, ledger, 3);
    const configurations = [...parts.configurations, ledger.entryAt(2)];

    expect(refusalOf(ledger, { ...parts, configurations })).toMatch(
      /^RECEIPT_MALFORMED: the receipt holds entry 2 as a peer list/,
    );
  });

  test('a second creation of the registry', () => {
    const ledger = new TestLedger([a]);
    ledger.commit([createRegistry([a])], { unruled: true });

    expect(codeOf(ledger, partsOf(cluster, ledger, 2))).toBe('NOT_FIRST_ENTRY');
  });

  test('an entry 1 that somebody else created in the name of the registry', () => {
    const ledger = new TestLedger([a]);
    const { registryId } = ledger;
    const own = forgeCommit(d, undefined, [createRegistry([d])], { registryId });
    const checkpoint = d.sign(checkpointFor({ ...own.chain, registryId }, d));
    const parts = { ...partsOf(cluster, ledger, 1), ...contentOf(own), checkpoint };
    const certificates = [cluster.certificate(d).der];

    expect(refusalOf(ledger, { ...parts, certificates })).toMatch(
      /^REGISTRY_DIFFERS: entry 1 creates/,
    );
  });

  test('an entry 1 that links to a list', () => {
    const ledger = new TestLedger([a]);
    const configuration = { sequence: 1 as Sequence, digest: ledger.head.digest };
    const { entry } = ledger.entryAt(1);
    const forged = encodeCanonical({ ...JSON.parse(String(entry)), configuration });
    const checkpoint = signedOver(a, ledger, 1, digestOf(forged));

    expect(codeOf(ledger, { ...partsOf(cluster, ledger, 1), entry: forged, checkpoint })).toBe(
      'NOT_FIRST_ENTRY',
    );
  });

  test('an entry that links to a list after it', () => {
    const ledger = new TestLedger(peers, [a, b]);
    ledger.upload('plan-1');
    ledger.reconfigure(a, c);
    const list = ledger.entryAt(3);
    const configuration = { sequence: list.sequence, digest: list.digest };
    const forged = forgeCommit(a, ledger.commits[0]?.write.head, [uploadDocument('plan-1')], {
      configuration,
    });
    const parts = partsOf(cluster, ledger, 3);

    expect(
      codeOf(ledger, {
        ...parts,
        ...contentOf(forged),
        configurations: [...parts.configurations, list],
        path: [],
      }),
    ).toBe('CONFIGURATION_LINK_WRONG');
  });
});

describe('of hand-overs a receipt is refused with', () => {
  /**
   * Whoever has a certificate of the cluster can write this: a list that it leads, in the name of
   * the lead, and an entry under it. Every digest and link in it is right.
   */
  function selfMade(handOvers: (list: Forged) => Compact[]) {
    const ledger = new TestLedger([a, b, d], [a, b]);
    const list = forgeCommit(d, ledger.head, [reconfigurePeers([d])]);
    const forged = forgeCommit(d, list.chain, [uploadDocument('plan-1')]);
    const { entry, transaction } = contentOf(list);
    const parts = {
      ...contentOf(forged),
      configurations: [ledger.entryAt(1), { entry, transaction }],
      handOvers: handOvers(list),
      confirmations: [],
      path: [],
    };
    return { ledger, parts: certified(ledger, { ...parts, certificates: [] }) };
  }

  test('a list that the lead before did not sign', () => {
    const { ledger, parts } = selfMade(() => []);

    expect(codeOf(ledger, parts)).toBe('CHECKPOINT_MISSING');
  });

  test('a list that the new lead itself signed', () => {
    const { ledger, parts } = selfMade(({ commit }) => [commit.checkpoint as Compact]);

    expect(codeOf(ledger, parts)).toBe('LEAD_DIFFERS');
  });

  test('what the lead signed over another list, or over another entry', () => {
    const { ledger, parts } = eventful();
    const other = forgeCommit(a, headAt(ledger, 2), [reconfigurePeers([b, a])]);
    const over = [other.commit.checkpoint as Compact, checkpointBy(a, ledger, 2)];

    for (const checkpoint of over)
      expect(codeOf(ledger, { ...parts, handOvers: [checkpoint] })).toBe('CHECKPOINT_DIFFERS');
  });

  test('a checkpoint where nothing was handed over', () => {
    const { ledger, parts } = eventful();
    const handOvers = [...parts.handOvers, checkpointBy(a, ledger, 3)];

    expect(refusalOf(ledger, { ...parts, handOvers })).toMatch(/hand-overs that did not happen/);
  });
});

describe('of checkpoints a receipt is refused with', () => {
  function withCheckpoint(make: (ledger: TestLedger) => Compact): string {
    const { ledger, parts } = eventful();
    return refusalOf(ledger, certified(ledger, { ...parts, checkpoint: make(ledger) }));
  }

  test('that of a former lead, and of a mirror', () => {
    expect(withCheckpoint((ledger) => checkpointBy(a, ledger, 6))).toMatch(/^LEAD_DIFFERS/);
    expect(withCheckpoint((ledger) => checkpointBy(c, ledger, 6))).toMatch(/^LEAD_DIFFERS/);
  });

  test('one by the lead over an entry of its successor', () => {
    const { ledger, parts } = eventfulOf(2, undefined);
    const checkpoint = checkpointBy(a, ledger, 4);
    const path = [ledger.entryAt(3).entry, ledger.entryAt(4).entry];

    expect(codeOf(ledger, { ...parts, confirmations: [], path, checkpoint })).toBe('LEAD_DIFFERS');
  });

  test('one over an entry before its own', () => {
    expect(withCheckpoint((ledger) => checkpointBy(b, ledger, 4))).toMatch(
      /^RECEIPT_MALFORMED.*before its own/,
    );
  });

  test('one over another entry than the ledger has there', () => {
    expect(withCheckpoint((ledger) => signedOver(b, ledger, 6, digestOf('fork')))).toMatch(
      /^CHECKPOINT_DIFFERS/,
    );
  });

  test('one of another registry', () => {
    const other = new TestLedger([b]);

    expect(
      withCheckpoint(({ head }) =>
        b.sign(checkpointFor({ ...head, registryId: other.registryId }, b)),
      ),
    ).toMatch(/^STATEMENT_REGISTRY_DIFFERS/);
  });

  test('a confirmation in place of one', () => {
    expect(withCheckpoint((ledger) => confirmationBy(b, ledger, 6))).toMatch(
      /^STATEMENT_MALFORMED/,
    );
  });
});

function eventfulOf(sequence: number, since: number | undefined) {
  const ledger = eventfulLedger();
  return { ledger, parts: partsOf(cluster, ledger, sequence, since) };
}

describe('of confirmations a receipt is refused with', () => {
  /** Of entry 2, which b and c are to confirm, with these confirmations. */
  function withConfirmations(make: (ledger: TestLedger) => Compact[]): string {
    const ledger = new TestLedger(peers, [a, b, c]);
    ledger.upload('plan-1');
    const parts = { ...partsOf(cluster, ledger, 2), confirmations: make(ledger) };
    return refusalOf(ledger, certified(ledger, parts));
  }

  test('nothing wrong in them: it is final', () => {
    expect(
      withConfirmations((ledger) => [confirmationBy(b, ledger, 2), confirmationBy(c, ledger, 2)]),
    ).toBe('verified');
  });

  test('one by the lead, and one by somebody who is no peer', () => {
    for (const signer of [a, d])
      expect(withConfirmations((ledger) => [confirmationBy(signer, ledger, 2)])).toMatch(
        /^SIGNER_NO_PEER/,
      );
  });

  test('two by one mirror, or another order than the list has', () => {
    for (const [first, second] of [
      [b, b],
      [c, b],
    ] as const)
      expect(
        withConfirmations((ledger) => [
          confirmationBy(first, ledger, 2),
          confirmationBy(second, ledger, 2),
        ]),
      ).toMatch(/^RECEIPT_MALFORMED.*order/);
  });

  test('one of an entry before', () => {
    expect(withConfirmations((ledger) => [confirmationBy(b, ledger, 1)])).toMatch(
      /^RECEIPT_MALFORMED.*counts a confirmation of entry 1 for 2/,
    );
  });

  test('one of another entry than the ledger has there', () => {
    const digest = digestOf('fork');
    const forked = (ledger: TestLedger) => [b.sign(confirmationFor({ ...ledger.head, digest }, b))];

    expect(withConfirmations(forked)).toMatch(/^CHECKPOINT_DIFFERS/);
  });

  test('one with a signature of somebody else', () => {
    const forged = (ledger: TestLedger) => [c.sign(confirmationFor(ledger.head, b))];

    expect(withConfirmations(forged)).toMatch(/^STATEMENT_SIGNER_DIFFERS/);
  });

  test('more than a list can have', () => {
    const many = (ledger: TestLedger) =>
      Array.from({ length: limits.peersMax + 1 }, () => confirmationBy(b, ledger, 2));

    expect(withConfirmations(many)).toMatch(/^SCHEMA_VIOLATION/);
  });
});

describe('of paths a receipt is refused with', () => {
  function longer() {
    const ledger = new TestLedger([a, b]);
    for (let n = 0; n < 12; n += 1) ledger.upload('plan-1');
    ledger.confirm(b);
    return { ledger, parts: partsOf(cluster, ledger, 3) };
  }

  test('nothing wrong in them: it verifies', () => {
    const { ledger, parts } = longer();

    expect(codeOf(ledger, parts)).toBe('verified');
    expect(parts.path.length).toBeGreaterThan(2);
  });

  test('an entry missing', () => {
    const { ledger, parts } = longer();
    for (const index of parts.path.keys())
      expect(refusalOf(ledger, { ...parts, path: parts.path.toSpliced(index, 1) })).toMatch(
        /^RECEIPT_MALFORMED: the receipt lacks entry/,
      );
  });

  test('an entry that no way leads over', () => {
    const { ledger, parts } = longer();
    const path = [...parts.path, ledger.entryAt(2).entry];

    expect(refusalOf(ledger, { ...parts, path })).toMatch(
      /^RECEIPT_MALFORMED: the receipt holds entry 2, which proves nothing/,
    );
  });

  test('an entry twice, also where it is a list or the entry itself', () => {
    const { ledger, parts } = longer();
    for (const entry of [parts.path[0], ledger.entryAt(1).entry, parts.entry])
      expect(
        refusalOf(ledger, { ...parts, path: [...parts.path, entry ?? Buffer.from('none')] }),
      ).toMatch(/^RECEIPT_MALFORMED: the receipt holds entry \d+ twice/);
  });

  test('entries in another order', () => {
    const { ledger, parts } = longer();
    const turned = changed(parts, (receipt) => ({
      ...receipt,
      path: (receipt['path'] as unknown[]).toReversed(),
    }));

    expect(verifyReceipt(turned, cluster.trust(ledger))).toMatchObject({
      code: 'RECEIPT_MALFORMED',
      detail: expect.stringContaining('descend'),
    });
  });

  test('an entry that the one above does not link to', () => {
    const { ledger, parts } = longer();
    const forged = parts.path.map((bytes, index) =>
      index === 1
        ? encodeCanonical({ ...JSON.parse(String(bytes)), timestamp: '2020-01-01T00:00:00.000Z' })
        : bytes,
    );

    expect(codeOf(ledger, { ...parts, path: forged })).toBe('BACKLINKS_WRONG');
  });

  test('links that are not the rule’s, by which a lead could sign for two entries at once', () => {
    const ledger = new TestLedger([a]);
    const link = { sequence: 1 as Sequence, digest: ledger.head.digest };
    const fork = { sequence: 1 as Sequence, digest: digestOf('fork') };
    const forged = forgeCommit(a, ledger.head, [uploadDocument('plan-1')], {
      backlinks: [link, fork],
    });
    const parts = { ...partsOf(cluster, ledger, 1), ...contentOf(forged) };

    expect(codeOf(ledger, { ...parts, configurations: [ledger.entryAt(1)] })).toBe(
      'BACKLINKS_WRONG',
    );
  });
});

describe('of a later list a receipt is refused with', () => {
  type LaterParts = NonNullable<ReceiptParts['later']>;

  function withLater(change: (later: LaterParts, ledger: TestLedger) => Partial<LaterParts>) {
    const { ledger, parts } = eventful();
    if (parts.later === undefined) throw new Error('there is a later list');
    const later = { ...parts.later, ...change(parts.later, ledger) };
    return refusalOf(ledger, certified(ledger, { ...parts, later }));
  }

  test('one that the entry does not need', () => {
    const ledger = new TestLedger(peers, [a, b]);
    ledger.upload('plan-1');
    ledger.reconfigure(a, b, c);
    ledger.confirm(b);
    ledger.confirm(c);

    expect(codeOf(ledger, partsOf(cluster, ledger, 2))).toBe('verified');
    expect(refusalOf(ledger, partsOf(cluster, ledger, 2, 3))).toMatch(/final without it/);
  });

  test('one that not all its mirrors confirmed, or that has none', () => {
    const ledger = new TestLedger(peers, [a, b]);
    ledger.reconfigure(a);

    expect(withLater(() => ({ confirmations: [] }))).toMatch(
      /^RECEIPT_MALFORMED: the receipt lacks (confirmations|entry)/,
    );
    expect(refusalOf(ledger, partsOf(cluster, ledger, 1, 2))).toMatch(/lacks confirmations/);
  });

  test('a second confirmation of a mirror, and one from before it', () => {
    expect(
      withLater((later, ledger) => ({
        confirmations: [confirmationBy(a, ledger, 9), ...later.confirmations],
      })),
    ).toMatch(/^RECEIPT_MALFORMED.*two confirmations/);
    expect(
      withLater((_later, ledger) => ({ confirmations: [confirmationBy(d, ledger, 6)] })),
    ).toMatch(/^RECEIPT_MALFORMED.*counts a confirmation of entry 6 for 7/);
  });

  test('no checkpoint of its lead over it', () => {
    expect(withLater((_later, ledger) => ({ checkpoint: checkpointBy(b, ledger, 6) }))).toMatch(
      /^RECEIPT_MALFORMED.*counts a checkpoint of entry 6 for 7/,
    );
    expect(withLater((_later, ledger) => ({ checkpoint: checkpointBy(a, ledger, 7) }))).toMatch(
      /^LEAD_DIFFERS/,
    );
  });

  test('one that somebody else wrote', () => {
    const ledger = new TestLedger([a, b, d], [a, b]);
    const list = forgeCommit(d, ledger.head, [reconfigurePeers([a, d])]);
    const { entry, transaction, checkpoint } = contentOf(list);
    const confirmations = [d.sign(confirmationFor(list.chain, d))];
    const later = { checkpoint, configurations: [{ entry, transaction }], confirmations };
    const parts = { ...partsOf(cluster, ledger, 1), later };

    expect(codeOf(ledger, certified(ledger, parts))).toBe('LEAD_DIFFERS');
  });

  test('a hand-over on the way to it without the lead’s word', () => {
    const ledger = new TestLedger(peers, [a, c]);
    ledger.reconfigure(b, c);
    ledger.reconfigure(b, d);
    ledger.confirm(d);
    const parts = partsOf(cluster, ledger, 1, 3);

    expect(codeOf(ledger, parts)).toBe('verified');
    expect(codeOf(ledger, { ...parts, handOvers: [] })).toBe('CHECKPOINT_MISSING');
  });

  test('one that is not later than the entry', () => {
    const ledger = new TestLedger(peers, [a, b]);
    ledger.reconfigure(a, c);
    const { digest, sequence } = ledger.entryAt(1);
    const forged = forgeCommit(a, ledger.head, [uploadDocument('plan-1')], {
      configuration: { digest, sequence },
    });
    const parts = {
      ...contentOf(forged),
      configurations: [ledger.entryAt(1)],
      handOvers: [],
      confirmations: [],
      path: [],
      certificates: [],
      later: {
        checkpoint: checkpointBy(a, ledger, 2),
        configurations: [ledger.entryAt(2)],
        confirmations: [confirmationBy(c, ledger, 2)],
      },
    };

    expect(refusalOf(ledger, certified(ledger, parts))).toMatch(/as one that came later/);
  });

  test('an entry that brings no list in place of one', () => {
    const ledger = new TestLedger(peers, [a, b]);
    ledger.upload('plan-1');
    ledger.confirm(c);

    expect(
      refusalOf(ledger, {
        ...partsOf(cluster, ledger, 1),
        later: {
          checkpoint: ledger.head.checkpoint,
          configurations: [ledger.entryAt(2)],
          confirmations: [],
        },
      }),
    ).toMatch(/holds entry 2 as a peer list/);
  });
});

function signedOver(peer: TestPeer, ledger: TestLedger, sequence: number, digest: Digest) {
  return peer.sign(checkpointFor({ ...ledger.head, sequence: sequence as Sequence, digest }, peer));
}

/** The last entry of a forged commit, with its checkpoint. */
function contentOf({ commit }: Forged) {
  const { entry = '', transaction = '', details } = commit.entries.at(-1) ?? {};
  return {
    entry: Buffer.from(entry),
    transaction: Buffer.from(transaction),
    ...(details === undefined ? {} : { details: Buffer.from(details) }),
    checkpoint: commit.checkpoint as Compact,
  };
}
