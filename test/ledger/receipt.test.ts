import { describe, expect, test } from 'vitest';
import { buildReceipt } from '../../shared/ledger/receipt.ts';
import { redactionOf } from '../../shared/ledger/redaction.ts';
import { verifyReceipt } from '../../shared/ledger/verify-receipt.ts';
import { reconfigurePeers, TestLedger, testPeer, timeAfter, uploadDocument } from '../builders.ts';
import { testAuthority } from '../certificate-authority.ts';
import { certificateFor, partsOf, TestCluster, verified, verifyParts } from './receipts.ts';

const cluster = new TestCluster();
const [a, b, c, d] = [testPeer(), testPeer(), testPeer(), testPeer()];
const ids = [a, b, c, d].map(({ certificateId }) => certificateId);
const [idA = '', idB = '', idC = '', idD = ''] = ids;

/** Entry 2 is final with it, entry 3 is confirmed by one, entry 4 by nobody. */
function quietLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  ledger.upload('plan-1');
  ledger.confirm(b);
  ledger.confirm(c);
  ledger.upload('plan-2');
  ledger.confirm(c);
  ledger.upload('plan-1');
  return ledger;
}

describe('a receipt', () => {
  test('proves the entry, its details, its lead, and who confirmed it when', () => {
    const ledger = quietLedger();
    const { digest } = ledger.entryAt(2);

    const outcome = verified(cluster, ledger, 2);

    expect(outcome).toMatchObject({
      outcome: 'verified',
      registryId: ledger.registryId,
      sequence: 2,
      digest,
      timestamp: timeAfter(1),
      lead: idA,
      transaction: { type: 'upload-document', documentId: 'plan-1', version: 1 },
      details: { name: 'Grundriß Erdgeschoß.pdf' },
      checkpoint: { sequence: 2, issuedAt: timeAfter(2) },
      configuration: { sequence: 1, peers: [idA, idB, idC] },
      confirmations: [
        { peer: idB, sequence: 2, confirmedAt: timeAfter(2) },
        { peer: idC, sequence: 2, confirmedAt: timeAfter(2) },
      ],
      status: { status: 'final' },
    });
    expect(outcome).not.toHaveProperty('redaction');
    expect(outcome).not.toHaveProperty('later');
  });

  test.each([
    [1, { status: 'final' }],
    [2, { status: 'final' }],
    [3, { status: 'confirmed', by: 1, of: 2 }],
    [4, { status: 'recorded' }],
  ])('of entry %i shows the status that its confirmations make', (sequence, status) => {
    expect(verified(cluster, quietLedger(), sequence)).toMatchObject({ sequence, status });
  });

  test('of a registry without mirrors shows the entry as recorded', () => {
    const ledger = new TestLedger([a]);

    expect(verified(cluster, ledger, 1)).toMatchObject({
      transaction: { type: 'create-registry' },
      configuration: { sequence: 1, peers: [idA] },
      status: { status: 'recorded' },
    });
  });

  test('holds every object exactly as it was hashed', () => {
    const ledger = handedOverTwice();
    const parts = partsOf(cluster, ledger, 6);
    const receipt = buildReceipt(parts);

    const objects = [parts, ...parts.configurations].flatMap((each) => [
      each.entry,
      each.transaction,
    ]);
    const hashed = [...objects, ...parts.path, parts.details ?? Buffer.from('none')];
    for (const bytes of hashed) expect(receipt.includes(Buffer.from(bytes))).toBe(true);
    expect(hashed.length).toBeGreaterThan(9);
  });

  test('leads from a checkpoint and confirmations far above over backlinks down to the entry', () => {
    const ledger = new TestLedger([a, b, c]);
    ledger.upload(...Array.from({ length: 24 }, (_, n) => `plan-${n}`));
    for (let n = 0; n < 60; n += 1) ledger.upload('plan-1');
    ledger.confirm(c);
    for (let n = 0; n < 60; n += 1) ledger.upload('plan-2');
    ledger.confirm(b);

    const parts = partsOf(cluster, ledger, 3);

    expect(parts.path.length).toBeGreaterThan(8);
    expect(verifyParts(cluster, ledger, parts)).toMatchObject({
      checkpoint: { sequence: 25 },
      confirmations: [
        { peer: idB, sequence: 145 },
        { peer: idC, sequence: 85 },
      ],
      status: { status: 'final' },
    });
  });

  test('is the same whatever the order in which path and certificates were gathered', () => {
    const ledger = new TestLedger([a, b]);
    for (let n = 0; n < 6; n += 1) ledger.upload('plan-1', 'plan-2', 'plan-3');
    ledger.confirm(b);
    const parts = partsOf(cluster, ledger, 6);
    const turned = {
      ...parts,
      path: parts.path.toReversed(),
      certificates: parts.certificates.toReversed(),
    };

    expect(buildReceipt(turned)).toEqual(buildReceipt(parts));
    expect(parts.path.length).toBeGreaterThan(2);
  });
});

/** a leads entries 1 to 3, b 4 to 5, c 6 on; entry 4 adds d without handing over. */
function handedOverTwice(): TestLedger {
  const ledger = new TestLedger([a, b, c, d], [a, b, c]);
  ledger.upload('plan-1');
  ledger.reconfigure(b, a, c);
  ledger.reconfigure(b, a, c, d);
  ledger.reconfigure(c, a, b);
  ledger.commit([uploadDocument('plan-2'), uploadDocument('plan-3')]);
  ledger.confirm(a);
  ledger.confirm(b);
  return ledger;
}

describe('after hand-overs a receipt', () => {
  test('proves every lead by the word of the one before', () => {
    const ledger = handedOverTwice();

    expect(partsOf(cluster, ledger, 6).handOvers).toHaveLength(2);
    expect(verified(cluster, ledger, 6)).toMatchObject({
      lead: idC,
      checkpoint: { sequence: 7 },
      configuration: { sequence: 5, peers: [idC, idA, idB] },
      status: { status: 'final' },
    });
  });

  test('of the hand-over itself is signed by the old lead and confirmed by the new list', () => {
    const ledger = new TestLedger([a, b, c]);
    ledger.reconfigure(b, a, c);
    ledger.confirm(a);
    ledger.confirm(c);

    expect(verified(cluster, ledger, 2)).toMatchObject({
      lead: idA,
      configuration: { sequence: 2, peers: [idB, idA, idC] },
      confirmations: [{ peer: idA }, { peer: idC }],
      status: { status: 'final' },
    });
  });

  test('of an entry before them needs nobody’s word but its own lead’s', () => {
    const ledger = handedOverTwice();
    const parts = partsOf(cluster, ledger, 2);

    expect(parts.handOvers).toEqual([]);
    expect(verifyParts(cluster, ledger, parts)).toMatchObject({
      lead: idA,
      configuration: { sequence: 1 },
      // b led when it could have confirmed: the mirror c has not.
      status: { status: 'confirmed', by: 1, of: 2 },
    });
  });

  test('proves a lead under its new key', () => {
    const ledger = new TestLedger([a, b, d], [a, b]);
    ledger.reconfigure(d, b);
    ledger.upload('plan-1');
    ledger.confirm(b);

    expect(verified(cluster, ledger, 3)).toMatchObject({ lead: idD, status: { status: 'final' } });
  });

  test('takes a reconfigure in the same commit as what follows', () => {
    const ledger = new TestLedger([a, b, c], [a, b]);
    ledger.commit([uploadDocument('plan-1'), reconfigurePeers([a, c]), uploadDocument('plan-2')]);
    ledger.confirm(c);

    expect(verified(cluster, ledger, 3)).toMatchObject({
      configuration: { sequence: 3, peers: [idA, idC] },
      checkpoint: { sequence: 4 },
      status: { status: 'final' },
    });
    expect(verified(cluster, ledger, 2)).toMatchObject({
      configuration: { sequence: 1, peers: [idA, idB] },
      status: { status: 'recorded' },
    });
  });
});

describe('where mirrors were removed before they confirmed, a receipt', () => {
  /** c never confirms entry 2, and is replaced by d in entry 3. */
  function replacedMirror(): TestLedger {
    const ledger = new TestLedger([a, b, c, d], [a, b, c]);
    ledger.upload('plan-1');
    ledger.reconfigure(a, b, d);
    ledger.upload('plan-2', 'plan-3');
    ledger.confirm(b);
    ledger.confirm(d);
    return ledger;
  }

  test('proves that the entry is final since a later list, and without whom', () => {
    const ledger = replacedMirror();
    const parts = partsOf(cluster, ledger, 2, 3);

    expect(parts.later?.confirmations).toHaveLength(1);
    expect(verifyParts(cluster, ledger, parts)).toMatchObject({
      configuration: { sequence: 1, peers: [idA, idB, idC] },
      confirmations: [{ peer: idB, sequence: 5 }],
      later: {
        sequence: 3,
        peers: [idA, idB, idD],
        confirmations: [
          { peer: idB, sequence: 5 },
          { peer: idD, sequence: 5 },
        ],
      },
      status: { status: 'final-since', since: 3, without: [idC] },
    });
  });

  test('without the later list shows the entry as confirmed by those who did', () => {
    expect(verified(cluster, replacedMirror(), 2)).toMatchObject({
      status: { status: 'confirmed', by: 1, of: 2 },
    });
  });

  test('holds two confirmations of a mirror that confirmed before the later list and after', () => {
    const ledger = new TestLedger([a, b, c, d], [a, b, c]);
    ledger.upload('plan-1');
    ledger.confirm(b);
    ledger.reconfigure(a, b);
    ledger.confirm(b);
    const parts = partsOf(cluster, ledger, 2, 3);

    expect(parts.later?.confirmations).toHaveLength(1);
    expect(verifyParts(cluster, ledger, parts)).toMatchObject({
      confirmations: [{ peer: idB, sequence: 2 }],
      later: { confirmations: [{ peer: idB, sequence: 3 }] },
      status: { status: 'final-since', since: 3, without: [idC] },
    });
  });

  test('follows hand-overs between the entry and the later list, which may be one itself', () => {
    const ledger = new TestLedger([a, b, c, d], [a, c]);
    ledger.upload('plan-1');
    ledger.reconfigure(a, b, c);
    ledger.upload('plan-2');
    ledger.reconfigure(b, d, c);
    ledger.upload('plan-3', 'plan-4');
    ledger.reconfigure(d, b);
    ledger.upload('plan-5');
    ledger.confirm(b);
    const parts = partsOf(cluster, ledger, 2, 8);

    expect(parts.handOvers).toHaveLength(1);
    expect(verifyParts(cluster, ledger, parts)).toMatchObject({
      checkpoint: { sequence: 2 },
      later: { sequence: 8, peers: [idD, idB], confirmations: [{ peer: idB, sequence: 9 }] },
      status: { status: 'final-since', since: 8, without: [idC] },
    });
  });

  test('of a hand-over goes on from the list that it brings itself', () => {
    const ledger = new TestLedger([a, b, c, d], [a, b]);
    ledger.reconfigure(b, c);
    ledger.reconfigure(b, d);
    ledger.confirm(d);
    const parts = partsOf(cluster, ledger, 2, 3);

    expect(parts.handOvers).toEqual([]);
    expect(verifyParts(cluster, ledger, parts)).toMatchObject({
      lead: idA,
      configuration: { sequence: 2 },
      status: { status: 'final-since', since: 3, without: [idC] },
    });
  });

  test('shows an entry as final since a later list where its own had no mirror', () => {
    const ledger = new TestLedger([a, b], [a]);
    ledger.reconfigure(a, b);
    ledger.confirm(b);

    expect(verified(cluster, ledger, 1, 2)).toMatchObject({
      configuration: { peers: [idA] },
      status: { status: 'final-since', since: 2, without: [] },
    });
  });
});

describe('where details were redacted, a receipt', () => {
  test('proves which instance redacted them, and who decided it', () => {
    const ledger = quietLedger();
    const operator = testPeer();
    const payload = redactionOf({
      registryId: ledger.registryId,
      sequence: ledger.entryAt(2).sequence,
      signer: d.certificateId,
      decidedBy: operator.certificateId,
      reason: 'Name einer Person',
    });
    const redaction = { statement: d.sign(payload), decision: operator.sign(payload) };
    const { details, ...parts } = partsOf(cluster, ledger, 2);
    const certificates = [...parts.certificates, cluster.certificate(d).der];

    const outcome = verifyParts(cluster, ledger, { ...parts, redaction, certificates });

    expect(details).toBeDefined();
    expect(outcome).toMatchObject({
      outcome: 'verified',
      redaction: {
        signer: idD,
        decidedBy: operator.certificateId,
        reason: 'Name einer Person',
      },
    });
    expect(outcome).not.toHaveProperty('details');
  });
});

const DAY_MS = 86_400_000;

function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

describe('years later a receipt', () => {
  test('verifies with certificates and a CA that have expired', () => {
    const former = new TestCluster(
      testAuthority('Former CA', { notBefore: inDays(-900), notAfter: inDays(-100) }),
    );
    for (const peer of [a, b, c])
      former.certificate(peer, { notBefore: inDays(-800), notAfter: inDays(-400) });

    expect(verified(former, quietLedger(), 2)).toMatchObject({ status: { status: 'final' } });
  });

  test('verifies with a CA that was renewed under its key', () => {
    const old = testAuthority('Renewed CA', { notBefore: inDays(-900), notAfter: inDays(-10) });
    const renewed = testAuthority('Renewed CA', { key: old.key, notBefore: inDays(-50) });
    const former = new TestCluster(old);
    for (const peer of [a, b, c])
      former.certificate(peer, { notBefore: inDays(-800), notAfter: inDays(-20) });
    const ledger = quietLedger();
    const receipt = buildReceipt(partsOf(former, ledger, 2));

    const outcome = verifyReceipt(receipt, {
      clusterCaPem: renewed.certificatePem,
      registryId: ledger.registryId,
    });

    expect(outcome).toMatchObject({ status: { status: 'final' } });
  });

  test('verifies with any of several CAs', () => {
    const ledger = quietLedger();
    const receipt = buildReceipt(partsOf(cluster, ledger, 2));
    const clusterCaPem =
      testAuthority('Other CA').certificatePem + cluster.authority.certificatePem;

    expect(verifyReceipt(receipt, { clusterCaPem, registryId: ledger.registryId })).toMatchObject({
      outcome: 'verified',
    });
  });

  test('verifies after a thousand other certificates and CAs were seen', () => {
    const ledger = new TestLedger([a]);
    const parts = partsOf(cluster, ledger, 1);
    // All of the same key: what is kept is kept by the certificates' bytes.
    for (let n = 0; n < 1030; n += 1) {
      const certificates = [certificateFor(cluster.authority, a).der];
      expect(verifyParts(cluster, ledger, { ...parts, certificates }).outcome).toBe('verified');
    }
    for (let n = 0; n < 20; n += 1) {
      const other = new TestCluster(testAuthority(`CA ${n}`, { key: cluster.authority.key }));
      expect(verified(other, ledger, 1).outcome).toBe('verified');
    }

    expect(verifyParts(cluster, ledger, parts).outcome).toBe('verified');
  });
});
