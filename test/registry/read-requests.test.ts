import { describe, expect, test } from 'vitest';
import { digestOf } from '../../shared/ledger/digest.ts';
import { requestsList } from '../../shared/registry/lists.ts';
import type { LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import {
  listRequests,
  type RequestFilter,
  readRequest,
} from '../../shared/registry/read-requests.ts';
import { TestLedger, testPeer, testUuid, timeAfter } from '../builders.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';
import { answering, clockAt, type Held, held } from './reading.ts';

const peers = [testPeer(), testPeer()];
const signer = testSigner();

function requestId(n: number): string {
  return testUuid(0xabc000 + n);
}

/** Entries 2 and 3 are the documents A and B; further ones as the test asks for. */
function twoDocuments(): TestLedger {
  const ledger = new TestLedger(peers);
  ledger.upload('A', 'B');
  return ledger;
}

function request(ledger: TestLedger, n: number, documentId = 'A', dueAt?: string): void {
  const due = dueAt === undefined ? {} : { dueAt };
  const changes = { requestId: requestId(n), ...due };
  ledger.commit([requestSignature(signer, documentId, changes)]);
}

function sign(ledger: TestLedger, n: number, by = signer): void {
  const signature = by.sign(targetOf(ledger, requestId(n)), 30);
  ledger.commit([signDocument(requestId(n), signature)]);
}

/** Entries 4 to 8: request 1 for A, request 2 for B, request 3 for A, 2 is signed, 4 for B. */
function fourRequests(): TestLedger {
  const ledger = twoDocuments();
  request(ledger, 1);
  request(ledger, 2, 'B', timeAfter(10));
  request(ledger, 3, 'A', timeAfter(20));
  sign(ledger, 2);
  request(ledger, 4, 'B', timeAfter(1000));
  return ledger;
}

async function idsOf(ports: Held, filter: RequestFilter = {}, count = 100) {
  const ids: string[] = [];
  let next: number | undefined = 0;
  while (next !== undefined) {
    const page = await listRequests(ports, ports.head, filter, { after: next, count });
    ids.push(...page.requests.map((each) => each.requestId));
    next = page.next;
  }
  return ids.map((id) => Number.parseInt(id.slice(-3), 16));
}

function linkTo({ sequence, digest }: StoredEntry) {
  return { sequence, digest };
}

describe('one request', () => {
  test('that is open says who is to sign what, until when, and which entry asks', async () => {
    const ledger = fourRequests();
    const ports = await held(ledger);

    const found = await readRequest({ ...ports, clock: clockAt(15) }, ports.head, requestId(3));

    expect(found).toEqual({
      requestId: requestId(3),
      status: 'open',
      documentId: 'A',
      version: 1,
      contentDigest: digestOf('bytes of A 1'),
      purpose: 'approval',
      publicKey: signer.publicKey,
      dueAt: timeAfter(20),
      signer: 'Prüfingenieurin Dr. Weiß',
      requestedBy: linkTo(ledger.entryAt(6)),
      requestedAt: timeAfter(5),
    });
  });

  test('is overdue from its due date on, while it is open', async () => {
    const ports = await held(fourRequests());
    const statusAt = async (seconds: number, n: number) =>
      (await readRequest({ ...ports, clock: clockAt(seconds) }, ports.head, requestId(n)))?.status;

    expect(await statusAt(20, 3)).toBe('open');
    expect(await statusAt(20.001, 3)).toBe('overdue');
    expect(await statusAt(20.001, 1)).toBe('open');
    expect(await statusAt(20.001, 2)).toBe('signed');
  });

  test('that is signed names the signature, its entry and both clocks', async () => {
    const ledger = fourRequests();
    const ports = await held(ledger);

    const found = await readRequest(ports, ports.head, requestId(2));

    expect(found).toMatchObject({ status: 'signed', dueAt: timeAfter(10) });
    expect(found?.signature).toEqual({
      signedBy: linkTo(ledger.entryAt(7)),
      signedAt: timeAfter(6),
      claimedAt: timeAfter(30),
      algorithm: 'EdDSA',
      legacy: false,
    });
  });

  test('that was signed with an existing card shows it as legacy', async () => {
    const card = testSigner('RS256');
    const ledger = twoDocuments();
    ledger.commit([requestSignature(card, 'A', { requestId: requestId(1) })]);
    sign(ledger, 1, card);
    const ports = await held(ledger);

    const found = await readRequest(ports, ports.head, requestId(1));

    expect(found?.signature).toMatchObject({ algorithm: 'RS256', legacy: true });
  });

  test('whose details were redacted is shown as that', async () => {
    const ledger = fourRequests();
    const ports = await held(ledger);
    await ports.store.redactDetails(ledger.registryId, 1, ledger.entryAt(4), {} as never);

    const found = await readRequest(ports, ports.head, requestId(1));

    expect(found).toMatchObject({ requestId: requestId(1), redacted: true });
    expect(found).not.toHaveProperty('signer');
  });

  test('that is unknown is undefined', async () => {
    const ports = await held(fourRequests());

    expect(await readRequest(ports, ports.head, requestId(9))).toBeUndefined();
  });

  test('whose signature does not verify any more is signed with a flaw, alone and in lists', async () => {
    const ledger = fourRequests();
    const ports = await held(ledger);
    const { transaction } = ledger.entryAt(7);
    const forged = Buffer.from(transaction);
    const at = forged.indexOf('"signature":"') + '"signature":"'.length;
    forged[at] = forged[at] === 0x41 ? 0x42 : 0x41;
    const entriesAt: LedgerStore['entriesAt'] = async (...asked) =>
      (await ports.store.entriesAt(...asked)).map((stored) =>
        stored.sequence === 7 ? { ...stored, transaction: forged } : stored,
      );

    const damaged = { ...ports, store: answering(ports.store, { entriesAt }) };

    const found = await readRequest(damaged, ports.head, requestId(2));
    const page = await listRequests(damaged, ports.head, {}, { count: 10 });

    expect(found?.status).toBe('signed');
    expect(found?.signature).toEqual({
      signedBy: linkTo(ledger.entryAt(7)),
      signedAt: timeAfter(6),
      flaw: 'SIGNATURE_WRONG',
    });
    expect(page.requests.map((each) => each.requestId)).toEqual([1, 2, 3, 4].map(requestId));
    expect(page.requests[1]).toEqual(found);
  });
});

describe('requests', () => {
  test('are listed in the order of their entries, open and signed', async () => {
    const ports = await held(fourRequests());

    const page = await listRequests(ports, ports.head, {}, { count: 10 });

    expect(await idsOf(ports)).toEqual([1, 2, 3, 4]);
    expect(page.requests[1]).toEqual(await readRequest(ports, ports.head, requestId(2)));
    expect(page.next).toBeUndefined();
  });

  test.each([
    [{ status: 'signed' }, [2]],
    [{ status: 'open' }, [1, 4]],
    [{ status: 'overdue' }, [3]],
    [{ documentId: 'B' }, [2, 4]],
    [{ documentId: 'A', status: 'open' }, [1]],
    [{ documentId: 'B', status: 'signed' }, [2]],
    [{ documentId: 'A', status: 'signed' }, []],
    [{ documentId: 'Z' }, []],
  ] as const)('with %j are these', async (filter, expected) => {
    const ports = { ...(await held(fourRequests())), clock: clockAt(100) };

    expect(await idsOf(ports, filter)).toEqual(expected);
    expect(await idsOf(ports, filter, 1)).toEqual(expected);
  });

  test('come page by page, and the last page has no next', async () => {
    const ports = await held(fourRequests());

    const first = await listRequests(ports, ports.head, {}, { count: 3 });
    const rest = await listRequests(ports, ports.head, {}, { after: first.next ?? 0, count: 1 });

    expect(first.requests.map((each) => each.requestId)).toEqual([1, 2, 3].map(requestId));
    expect(rest.requests.map((each) => each.requestId)).toEqual([requestId(4)]);
    expect(rest.next).toBeUndefined();
  });

  test('that are signed while the lists are read are there once, as signed', async () => {
    const ledger = fourRequests();
    const ports = await held(ledger);
    const open = requestsList(ledger.registryId, 1, 'open');
    const list: LedgerStore['list'] = async (name, after, count) => {
      const items = await ports.store.list(name, after, count);
      if (name !== open) return items;
      const [moved] = await ports.store.list(
        requestsList(ledger.registryId, 1, 'signed'),
        undefined,
        1,
      );
      if (moved === undefined) throw new Error('no request is signed');
      const { signed: _, ...before } = moved.item as { readonly signed: unknown };
      return [...items, { ...moved, item: before as never }];
    };
    const store = answering(ports.store, { list });

    const page = await listRequests({ ...ports, store }, ports.head, {}, { count: 10 });

    expect(page.requests.map((each) => each.requestId)).toEqual([1, 2, 3, 4].map(requestId));
    expect(page.requests[1]?.status).toBe('signed');
  });

  test('that fit a filter are all found, however far apart they are', async () => {
    const ledger = twoDocuments();
    for (let n = 1; n <= 210; n += 24)
      ledger.commit(
        Array.from({ length: 24 }, (_, at) =>
          requestSignature(signer, n + at === 1 || n + at === 205 ? 'B' : 'A', {
            requestId: requestId(n + at),
          }),
        ),
      );
    const ports = await held(ledger);

    const first = await listRequests(ports, ports.head, { documentId: 'B' }, { count: 1 });

    expect(first.requests.map((each) => each.requestId)).toEqual([requestId(1)]);
    expect(first.next).toBe(4);
    expect(await idsOf(ports, { documentId: 'B' }, 1)).toEqual([1, 205]);
    expect(await idsOf(ports, { documentId: 'B' }, 2)).toEqual([1, 205]);
  });

  test('that fit a filter are looked for among 1,000 at most, and the page says where it ended', async () => {
    const ports = await held(fourRequests());
    const [template] = await ports.store.list(
      requestsList(ports.head.registryId, 1, 'open'),
      undefined,
      1,
    );
    if (template === undefined) throw new Error('no request is open');
    const asked: number[] = [];
    const list: LedgerStore['list'] = async (_, after, count) => {
      asked.push(count);
      const from = Number(after ?? 0);
      return Array.from({ length: count }, (_each, at) => ({
        ...template,
        position: String(from + at + 1).padStart(16, '0') as never,
      }));
    };
    const store = answering(ports.store, { list });
    const filter = { status: 'open', documentId: 'Z' } as const;

    const page = await listRequests({ ...ports, store }, ports.head, filter, { count: 10 });

    expect(page).toEqual({ requests: [], next: 1000 });
    expect(asked).toEqual(Array.from({ length: 10 }, () => 101));
  });
});
