import { describe, expect, test } from 'vitest';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { conflictIdOf, conflictOf } from '../../shared/ledger/conflict.ts';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { buildReceipt } from '../../shared/ledger/receipt.ts';
import { redactionOf } from '../../shared/ledger/redaction.ts';
import { verifyReceipt } from '../../shared/ledger/verify-receipt.ts';
import { issueReceipt } from '../../shared/registry/issue-receipt.ts';
import type { Head, LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import { TestLedger, type TestPeer, testPeer, testPeers, timeAfter } from '../builders.ts';
import { partsOf, TestCluster } from '../ledger/receipts.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { overriding } from '../sound-ledger.ts';

const cluster = new TestCluster();
const [a, b, c, d] = [testPeer(), testPeer(), testPeer(), testPeer()];
const peers = [a, b, c, d];

/** A store with the whole ledger and the certificates of these peers. */
async function storeOf(ledger: TestLedger, known: readonly TestPeer[] = peers) {
  const store = new MemoryLedgerStore();
  await ledger.fill(store);
  for (const peer of known) {
    const { certificatePem } = cluster.certificate(peer);
    await store.putCertificate(peer.certificateId, certificatePem);
  }
  return store;
}

async function issue(store: LedgerStore, ledger: TestLedger, sequence: number, self = a) {
  const head = (await store.head(ledger.registryId)) as Head;
  const range = { from: sequence, count: 1 };
  const [stored] = await store.entries(ledger.registryId, head.copy, range);
  const { certificatePem } = cluster.certificate(self);
  return issueReceipt({ store, signer: self, certificatePem }, head, stored as StoredEntry);
}

async function issued(store: LedgerStore, ledger: TestLedger, sequence: number, self = a) {
  const outcome = await issue(store, ledger, sequence, self);
  if (outcome.outcome !== 'issued') throw new Error(JSON.stringify(outcome));
  return outcome.bytes;
}

async function verifiedFrom(store: LedgerStore, ledger: TestLedger, sequence: number) {
  return verifyReceipt(await issued(store, ledger, sequence), cluster.trust(ledger));
}

/** a leads entries 1 to 3, then b; c never confirms entry 6, and is replaced by d in entry 7. */
function eventfulLedger(): TestLedger {
  const ledger = new TestLedger(peers, [a, b, c]);
  ledger.upload('plan-1');
  ledger.confirm(b);
  ledger.confirm(c);
  ledger.reconfigure(b, a, c);
  ledger.confirm(a);
  ledger.confirm(c);
  ledger.upload('plan-2', 'plan-3', 'plan-4');
  ledger.reconfigure(b, a, d);
  ledger.upload('plan-5', 'plan-6');
  ledger.confirm(a);
  ledger.upload('plan-7');
  ledger.confirm(d);
  ledger.upload('plan-8');
  return ledger;
}

describe('the receipt that an instance issues', () => {
  test.each([
    [1, 'final', undefined],
    [2, 'final', undefined],
    [3, 'final', undefined],
    [4, 'final-since', 7],
    [5, 'final-since', 7],
    [6, 'final-since', 7],
    [7, 'final', undefined],
    [9, 'final', undefined],
    [10, 'confirmed', undefined],
    [11, 'recorded', undefined],
  ])('of entry %i proves that it is %s, and holds nothing else', async (sequence, status, since) => {
    const ledger = eventfulLedger();
    const store = await storeOf(ledger);

    const bytes = await issued(store, ledger, sequence);

    expect(verifyReceipt(bytes, cluster.trust(ledger))).toMatchObject({
      outcome: 'verified',
      sequence,
      digest: ledger.entryAt(sequence).digest,
      status: { status },
    });
    expect(bytes.toString()).toBe(
      buildReceipt(partsOf(cluster, ledger, sequence, since)).toString(),
    );
    expect(store.breaches).toEqual([]);
  });

  test('is the same from every instance, lead or mirror or none of both', async () => {
    const ledger = eventfulLedger();
    const store = await storeOf(ledger);
    const receipts = await Promise.all(peers.map((self) => issued(store, ledger, 5, self)));

    expect(new Set(receipts.map(String)).size).toBe(1);
  });

  test('of a registry without mirrors says that it is recorded', async () => {
    const ledger = new TestLedger([a]);
    ledger.upload('plan-1');
    const store = await storeOf(ledger);

    expect(await verifiedFrom(store, ledger, 2)).toMatchObject({ status: { status: 'recorded' } });
  });

  test('says that an entry is final since a later list where its own had no mirror', async () => {
    const ledger = new TestLedger([a, b], [a]);
    ledger.upload('plan-1');
    ledger.reconfigure(a, b);
    ledger.confirm(b);
    const store = await storeOf(ledger);

    expect(await verifiedFrom(store, ledger, 2)).toMatchObject({
      status: { status: 'final-since', since: 3, without: [] },
    });
  });

  test('of a hand-over goes on to the later list from the one that it brings itself', async () => {
    const ledger = new TestLedger(peers, [a, b]);
    ledger.reconfigure(b, c);
    ledger.reconfigure(d, b);
    ledger.reconfigure(d, a);
    ledger.confirm(a);
    const store = await storeOf(ledger);

    const bytes = await issued(store, ledger, 2);

    expect(verifyReceipt(bytes, cluster.trust(ledger))).toMatchObject({
      status: { status: 'final-since', since: 4, without: [c.certificateId] },
    });
    expect(bytes).toEqual(buildReceipt(partsOf(cluster, ledger, 2, 4)));
  });

  test('holds the redaction in place of details that were redacted', async () => {
    const ledger = eventfulLedger();
    const store = await storeOf(ledger);
    const operator = testPeer();
    const payload = redactionOf({
      registryId: ledger.registryId,
      sequence: 9 as Sequence,
      signer: c.certificateId,
      decidedBy: operator.certificateId,
      reason: 'Name einer Person',
    });
    const redaction = { statement: c.sign(payload), decision: operator.sign(payload) };
    await store.redactDetails(ledger.registryId, 1, ledger.entryAt(9), redaction);

    const outcome = await verifiedFrom(store, ledger, 9);

    expect(outcome).toMatchObject({
      redaction: { signer: c.certificateId, decidedBy: operator.certificateId },
      status: { status: 'final' },
    });
    expect(outcome).not.toHaveProperty('details');
  });
});

describe('certificates', () => {
  test('the instance’s own needs not be stored', async () => {
    const ledger = eventfulLedger();
    const store = await storeOf(ledger, [b, c, d]);

    expect((await issue(store, ledger, 2, a)).outcome).toBe('issued');
  });

  test('no receipt is issued without that of a signer, who is named', async () => {
    const ledger = eventfulLedger();
    const store = await storeOf(ledger, [a, b]);

    expect(await issue(store, ledger, 2, a)).toEqual({
      outcome: 'certificate-unknown',
      certificateId: c.certificateId,
    });
  });

  test('one that cannot be read counts as unknown', async () => {
    const ledger = eventfulLedger();
    const store = await storeOf(ledger);
    await store.putCertificate(c.certificateId, 'no certificate');

    expect(await issue(store, ledger, 2, a)).toEqual({
      outcome: 'certificate-unknown',
      certificateId: c.certificateId,
    });
  });
});

/** Opens a conflict that is recorded so many seconds after START. */
async function openConflict(store: LedgerStore, ledger: TestLedger, seconds: number) {
  const statement = conflictOf({
    registryId: ledger.registryId,
    signer: a.certificateId,
    kind: 'document-mismatch',
    sequence: 1 as Sequence,
    accused: 'open',
    digests: [digestOf('expected'), digestOf('found')],
    evidence: [],
    detectedAt: timeAfter(seconds),
  });
  const conflict = {
    registryId: ledger.registryId,
    conflictId: conflictIdOf(statement),
    statement: a.sign(statement),
    recordedAt: timeAfter(seconds),
  };
  const head = (await store.head(ledger.registryId)) as Head;
  expect(await store.openConflict(conflict, head, 'own')).toBe('opened');
}

describe('while a conflict is open', () => {
  test('what was confirmed before it counts, and what arrived after it is left out', async () => {
    const ledger = new TestLedger([a, b, c]);
    ledger.upload('plan-1');
    ledger.confirm(b);
    ledger.upload('plan-2');
    ledger.confirm(c);
    const store = await storeOf(ledger);
    // Entry 2's confirmation was received 3 seconds after START, entry 3's a second later.
    await openConflict(store, ledger, 3);

    expect(await verifiedFrom(store, ledger, 2)).toMatchObject({
      confirmations: [{ peer: b.certificateId, sequence: 2 }],
      status: { status: 'confirmed', by: 1, of: 2 },
    });
  });

  test('what was final stays final, though its first confirmation arrived late', async () => {
    const ledger = new TestLedger([a, b]);
    ledger.upload('plan-1');
    const late = ledger.confirm(b);
    for (let n = 0; n < 150; n += 1) {
      ledger.upload('plan-1');
      ledger.confirm(b);
    }
    const store = new MemoryLedgerStore();
    for (const { write } of ledger.commits) await store.commit(write);
    // Only the newest came in time.
    for (const confirmation of ledger.confirmations) {
      const isNewest = confirmation.sequence === ledger.head.sequence;
      const receivedAt = timeAfter(isNewest ? 1 : 1000);
      await store.putConfirmation(ledger.registryId, { ...confirmation, receivedAt }, 'received');
    }
    await store.putCertificate(b.certificateId, cluster.certificate(b).certificatePem);
    await openConflict(store, ledger, 500);

    const outcome = await verifiedFrom(store, ledger, late.sequence);

    expect(outcome).toMatchObject({
      confirmations: [{ sequence: ledger.head.sequence }],
      status: { status: 'final' },
    });
  });

  test('it is not looked for without end', async () => {
    const ledger = new TestLedger([a, b]);
    for (let n = 0; n < 1100; n += 1) ledger.upload('plan-1');
    const store = await storeOf(ledger);
    let asked = 0;
    const late = overriding(store, {
      confirmations: async (_registryId, signer, from, count) => {
        asked += 1;
        return Array.from({ length: count }, (_, index) => {
          const sequence = (from + index) as Sequence;
          const receivedAt = timeAfter(1000);
          const digest = 'unread' as Digest;
          const statement = b.sign({ format: 'x', registryId: digest, signer });
          const times = { confirmedAt: receivedAt, receivedAt };
          return { signer, sequence, digest, copy: 1, statement, checkpoint: statement, ...times };
        });
      },
      newestConfirmation: async () => undefined,
    });
    await openConflict(store, ledger, 0);

    expect(await verifiedFrom(late, ledger, 2)).toMatchObject({ status: { status: 'recorded' } });
    expect(asked).toBe(10);
  });
});

describe('issuing', () => {
  test('asks for few things at a time, and reads no more than the ways of a large ledger', async () => {
    const swarm = testPeers(32);
    const ledger = new TestLedger(swarm);
    for (let n = 0; n < 500; n += 1) ledger.upload('plan-1');
    for (const mirror of swarm.slice(1)) ledger.confirm(mirror);
    const store = await storeOf(ledger, swarm);
    let [open, most, entries] = [0, 0, 0];
    const counting = async <T>(answer: Promise<T>): Promise<T> => {
      open += 1;
      most = Math.max(most, open);
      await new Promise(setImmediate);
      open -= 1;
      return answer;
    };
    const counted = overriding(store, {
      certificate: (id) => counting(store.certificate(id)),
      firstConfirmationCovering: (...asked) => counting(store.firstConfirmationCovering(...asked)),
      entries: (...asked) => counting(store.entries(...asked)),
      entriesAt: (registryId, copy, sequences) => {
        entries += sequences.length;
        return counting(store.entriesAt(registryId, copy, sequences));
      },
    });

    const outcome = await verifiedFrom(counted, ledger, 100);

    expect(outcome).toMatchObject({ status: { status: 'final' } });
    expect(most).toBe(8);
    expect(entries).toBeLessThan(20);
  });

  test('stops where an entry, a checkpoint or a list that must be there is not', async () => {
    const ledger = eventfulLedger();
    const store = await storeOf(ledger);
    const entry = ledger.entryAt(2);
    const bare = overriding(store, {
      entries: async (...asked) =>
        (await store.entries(...asked)).map(({ checkpoint: _left, ...stored }) => stored),
    });
    const empty = overriding(store, { entriesAt: async () => [] });
    const misplaced = { ...entry, sequence: 1 as Sequence };
    const circular = overriding(store, { entriesAt: async () => [misplaced] });
    const listless = overriding(store, {
      entriesAt: async (registryId, copy, sequences) =>
        (await store.entriesAt(registryId, copy, sequences)).map((stored) =>
          stored.sequence === 3 ? { ...entry, sequence: stored.sequence } : stored,
        ),
    });
    const head = ledger.head;
    const ports = { signer: a, certificatePem: cluster.certificate(a).certificatePem };
    const damaged = { ...entry, entry: Buffer.from('{}') };

    await expect(issue(bare, ledger, 4)).rejects.toThrow('no checkpoint is stored');
    await expect(issue(empty, ledger, 4)).rejects.toThrow('entry 3 of registry');
    await expect(issueReceipt({ ...ports, store }, head, damaged)).rejects.toThrow('damaged');
    await expect(issueReceipt({ ...ports, store: circular }, head, entry)).rejects.toThrow(
      'links to the list of entry 1',
    );
    await expect(issue(listless, ledger, 4)).rejects.toThrow('brings no peer list');
  });
});

describe('in a cluster', () => {
  async function receiptFrom(instance: MemoryInstance, registryId: Head['registryId'], n: number) {
    const head = (await instance.known.head(registryId)) as Head;
    const [stored] = await instance.known.entries(registryId, head.copy, { from: n, count: 1 });
    return issueReceipt(instance.ports, head, stored as StoredEntry);
  }

  test('a client verifies what lead and mirror issue, also after the lead was handed over', async () => {
    const swarm = new MemoryCluster();
    const client = await swarm.add('client');
    const architect = await swarm.add('architect');
    const contractor = await swarm.add('contractor');
    const registryId = await client.create([architect, contractor]);
    await client.record(registryId, 'ARC-0001');
    await swarm.settle();
    await client.reconfigure(registryId, [architect, client, contractor]);
    await swarm.settle();
    await architect.record(registryId, 'ARC-0002');
    await swarm.settle();
    const trust = { clusterCaPem: swarm.authority.certificatePem, registryId };

    for (const instance of [client, architect, contractor])
      for (const [n, lead] of [
        [1, client],
        [2, client],
        [3, client],
        [4, architect],
      ] as const) {
        const outcome = await receiptFrom(instance, registryId, n);
        if (outcome.outcome !== 'issued') throw new Error(JSON.stringify(outcome));
        expect(verifyReceipt(outcome.bytes, trust)).toMatchObject({
          outcome: 'verified',
          sequence: n,
          lead: lead.id,
          status: { status: 'final' },
        });
      }
  });
});
