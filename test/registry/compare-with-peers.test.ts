import { describe, expect, test } from 'vitest';
import type { HeadStatement } from '../../shared/ledger/checkpoint.ts';
import { type CertificateId, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { carriedCommits, encodeMessage } from '../../shared/registry/messages.ts';
import type { PeerAnswer, PeerRequest } from '../../shared/registry/peer-transport.ts';
import type { Head } from '../../shared/registry/ports.ts';
import { payloadOfCompact, TestLedger, type TestPeer, testPeer, testPeers } from '../builders.ts';
import { audited, DamagedStore, foundIn } from './audited.ts';

const [a, b, c] = [testPeer(), testPeer(), testPeer()];
const other = digestOf('other');
const unreachable: PeerAnswer = { outcome: 'unreachable', reason: 'connection refused' };

function answered(body: unknown, status = 200): PeerAnswer {
  return { outcome: 'answered', status, body: Buffer.from(JSON.stringify(body)) };
}

/** The head that a peer states in answer to the question, with other members if a test wants. */
function stated(
  peer: TestPeer,
  { registryId, subject = '' }: PeerRequest,
  head: Pick<Head, 'sequence' | 'digest'>,
  changes: Partial<HeadStatement> = {},
): PeerAnswer {
  const statement: HeadStatement = {
    ...{ format: 'registry/head/v1', registryId, signer: peer.certificateId, copy: 1 },
    ...{ sequence: head.sequence, digest: head.digest, nonce: subject },
    ...changes,
  };
  return answered({ head: peer.sign(statement) });
}

function smallLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  ledger.upload('plan-1', 'plan-2');
  ledger.upload('plan-1');
  ledger.upload('plan-2');
  return ledger;
}

const ledger = smallLedger();

/** Answers for every peer what the test says. */
function asking(answer: (peer: TestPeer, request: PeerRequest) => PeerAnswer) {
  const asked: CertificateId[] = [];
  const call = async (peer: CertificateId, request: PeerRequest) => {
    if (request.operation === 'certificate') return unreachable;
    asked.push(peer);
    return answer(ledger.peer(peer), request);
  };
  return { asked, call };
}

function peersOf(outcome: Awaited<ReturnType<Awaited<ReturnType<typeof audited>>['run']>>) {
  return outcome.outcome === 'audited' ? outcome.peers : undefined;
}

describe('peers', () => {
  test('that state what is stored here, at the head or before, are the same', async () => {
    const { asked, call } = asking((peer, request) =>
      stated(peer, request, peer === b ? ledger.head : ledger.entryAt(2)),
    );
    const copy = await audited(ledger, { call });

    expect(peersOf(await copy.run())).toEqual({ answered: 2, differing: [] });
    expect(asked.sort()).toEqual([b.certificateId, c.certificateId].sort());
    expect(copy.alarms.raised).toEqual([]);
  });

  test('that do not answer, or not with a head of their own, are no finding', async () => {
    const answers: ((peer: TestPeer, request: PeerRequest) => PeerAnswer)[] = [
      () => unreachable,
      () => answered({ code: 'REGISTRY_UNKNOWN', detail: '' }, 404),
      () => answered({ code: 'PEER_NOT_IN_SWARM', detail: '' }, 403),
      () => answered({ code: 'BUSY', detail: '' }, 503),
      () => answered('<html>'),
      () => answered({ head: 'x' }),
      (peer, request) => stated(peer, request, ledger.head, { signer: a.certificateId }),
      (_peer, request) => stated(testPeer(), request, { ...ledger.head, digest: other }),
      (peer, request) =>
        stated(peer, request, { ...ledger.head, digest: other }, { nonce: '00'.repeat(16) }),
      (peer, request) =>
        stated(peer, request, { ...ledger.head, digest: other }, { registryId: other }),
    ];

    for (const answer of answers) {
      const copy = await audited(ledger, asking(answer));
      expect(peersOf(await copy.run())).toEqual({ answered: 0, differing: [] });
      expect(copy.alarms.raised).toEqual([]);
    }
  });

  test('that state another digest are told, and raise an alarm, but no conflict', async () => {
    const { call } = asking((peer, request) =>
      stated(peer, request, peer === c ? { sequence: 3 as Sequence, digest: other } : ledger.head),
    );
    const copy = await audited(ledger, { call });

    const outcome = await copy.run();

    const peers = peersOf(outcome);
    expect(peers).toMatchObject({
      answered: 2,
      differing: [{ peer: c.certificateId, sequence: 3, digest: other }],
    });
    const headStatement = peers?.differing[0]?.headStatement;
    expect(headStatement && payloadOfCompact(headStatement)).toMatchObject({
      format: 'registry/head/v1',
      digest: other,
    });
    expect(copy.alarms.raised).toMatchObject([
      {
        signal: 'AuditFindings',
        facts: {
          code: 'PEER_DIFFERS',
          registryId: ledger.registryId,
          peer: c.certificateId,
          sequence: 3,
          expected: ledger.entryAt(3).digest,
          found: other,
        },
      },
    ]);
    expect(foundIn(outcome)).toEqual([]);
    expect(await copy.store.conflicts(copy.registryId)).toEqual([]);
  });

  test('prove nothing where the own entry is damaged: that is the finding', async () => {
    const { call } = asking((peer, request) => stated(peer, request, ledger.entryAt(3)));
    const copy = await audited(ledger, { call });
    copy.store.damage = { entry: ({ sequence }) => (sequence === 3 ? { digest: other } : {}) };

    const outcome = await copy.run();

    expect(foundIn(outcome)).toEqual(['3 STORED_ENTRY_DIFFERS']);
    expect(peersOf(outcome)?.differing).toEqual([]);
  });

  test('are not compared with a copy that is still being filled', async () => {
    const { asked, call } = asking((peer, request) =>
      stated(peer, request, { ...ledger.head, digest: other }),
    );
    const copy = await audited(ledger, { call });
    copy.store.damage = { head: () => ({ filling: { copy: 1, through: 9 } }) };

    expect(await copy.run()).toMatchObject({ findings: [], peers: { answered: 0 } });
    expect(asked).toEqual([]);
  });

  test('are not asked when the time is over, nor again in a round when they were away', async () => {
    const late = asking(() => unreachable);
    const first = await audited(ledger, late);
    await first.run({ deadlineMs: first.time.nowMs });
    expect(late.asked).toEqual([]);

    const round = asking((peer, request) =>
      peer === b ? unreachable : stated(peer, request, ledger.head),
    );
    const copy = await audited(ledger, round);
    const away = new Set<CertificateId>();
    await copy.run({}, away);
    await copy.run({}, away);

    expect([...away]).toEqual([b.certificateId]);
    expect(round.asked.filter((peer) => peer === b.certificateId)).toHaveLength(1);
    expect(round.asked.filter((peer) => peer === c.certificateId)).toHaveLength(2);
  });

  test('are asked four at a time', async () => {
    const many = testPeers(11);
    const wide = new TestLedger(many);
    let [open, most] = [0, 0];
    const copy = await audited(wide, {
      call: async (peer, request) => {
        if (request.operation !== 'head') return unreachable;
        open += 1;
        most = Math.max(most, open);
        await new Promise((resolve) => setImmediate(resolve));
        open -= 1;
        return stated(wide.peer(peer), request, wide.head);
      },
    });

    expect(peersOf(await copy.run())).toMatchObject({ answered: 10 });
    expect(most).toBe(4);
  });
});

describe('a lead that holds less than a peer', () => {
  /** The lead's store as an old backup would have it: the last two commits are not there. */
  async function restored() {
    const store = new DamagedStore();
    for (const { write } of ledger.commits.slice(0, -2)) await store.commit(write);
    return store;
  }

  function ahead(peer: TestPeer, request: PeerRequest, entries = ledger.entries): PeerAnswer {
    if (request.operation === 'head') return stated(peer, request, ledger.head);
    const from = Number(request.subject);
    const commits = carriedCommits(entries.filter(({ sequence }) => sequence >= from));
    const { registryId } = ledger;
    const body = encodeMessage({ format: 'registry/delivery/v1', registryId, commits });
    return { outcome: 'answered', status: 200, body };
  }

  test('was restored where it signed what it lacks, and stops itself', async () => {
    const store = await restored();
    const copy = await audited(ledger, {
      ...asking((peer, request) => ahead(peer, request)),
      store,
    });

    const outcome = await copy.run();

    const [opened] = await store.conflicts(copy.registryId);
    expect(peersOf(outcome)).toMatchObject({ rolledBack: opened?.conflictId, differing: [] });
    expect(opened && payloadOfCompact(opened.statement)).toMatchObject({
      kind: 'lead-rollback',
      sequence: 4,
      accused: a.certificateId,
    });
    expect(copy.alarms.signals).toEqual(['ConflictsOpened', 'OpenConflicts']);
  });

  test('is told so once, however many peers hold more and however often it is audited', async () => {
    const store = await restored();
    const copy = await audited(ledger, {
      ...asking((peer, request) => ahead(peer, request)),
      store,
    });

    await copy.run();
    await copy.run();

    expect(await store.conflicts(copy.registryId)).toHaveLength(1);
  });

  test('was not where it has merely appended while it was asking', async () => {
    const store = await restored();
    const { call } = asking((peer, request) => ahead(peer, request));
    let behind = ledger.commits.slice(-2);
    const copy = await audited(ledger, {
      store,
      call: async (peer, request) => {
        for (const { write } of behind) await store.commit(write);
        behind = [];
        return call(peer, request);
      },
    });

    expect(peersOf(await copy.run())).toEqual({ answered: 2, differing: [] });
    expect(await store.conflicts(copy.registryId)).toEqual([]);
  });

  test('was not where the peer shows nothing that the lead signed', async () => {
    const answers: ((peer: TestPeer, request: PeerRequest) => PeerAnswer)[] = [
      (peer, request) => (request.operation === 'head' ? ahead(peer, request) : unreachable),
      (peer, request) =>
        request.operation === 'head' ? ahead(peer, request) : answered({ commits: [] }),
      (peer, request) =>
        request.operation === 'head'
          ? ahead(peer, request)
          : ahead(peer, { ...request, subject: '3' }, ledger.entries.slice(0, 3)),
    ];

    for (const answer of answers) {
      const store = await restored();
      const copy = await audited(ledger, { ...asking(answer), store });
      expect(peersOf(await copy.run())?.rolledBack).toBeUndefined();
      expect(await store.conflicts(copy.registryId)).toEqual([]);
    }
  });

  test('is merely behind where it is a mirror', async () => {
    const store = await restored();
    const { call, asked } = asking((peer, request) => ahead(peer, request));
    const copy = await audited(ledger, { self: b, call, store });

    expect(peersOf(await copy.run())).toEqual({ answered: 2, differing: [] });
    expect(asked).toHaveLength(2);
    expect(await store.conflicts(copy.registryId)).toEqual([]);
  });
});
