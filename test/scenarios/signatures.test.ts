import { describe, expect, test } from 'vitest';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { requestKey, type StateItem, type StateKey } from '../../shared/ledger/state.ts';
import { carriedCommits } from '../../shared/registry/messages.ts';
import type { Head, LedgerStore } from '../../shared/registry/ports.ts';
import { receiveDelivery } from '../../shared/registry/replicate.ts';
import { type TestTransaction, testUuid } from '../builders.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import { item, MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { requestSignature, signDocument, testSigner } from '../signing.ts';
import { expectSound, overriding } from '../sound-ledger.ts';

const requestId = testUuid(1);
const otherRequestId = testUuid(2);
const signer = testSigner('ES256');

function bodyOf(
  ...transactions: readonly { readonly transaction: Buffer; readonly details?: Buffer }[]
) {
  return {
    transactions: transactions.map(({ transaction, details }) => ({
      transaction: JSON.parse(transaction.toString()),
      ...(details === undefined ? {} : { details: JSON.parse(details.toString()) }),
    })),
  };
}

/** A lead and a mirror with one document and a request to sign it. */
async function requested() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  await client.record(registryId, 'STA-0001');
  const path = `/v1/registries/${registryId}/transactions`;
  const post = (...transactions: TestTransaction[]) =>
    client.call('POST', path, bodyOf(...transactions));
  await post(requestSignature(signer, 'STA-0001', { requestId }));
  await cluster.settle();
  const target = {
    registryId,
    documentId: 'STA-0001',
    version: 1,
    contentDigest: digestOf('STA-0001 version 1'),
    purpose: 'approval',
  } as const;
  return { cluster, client, architect, registryId, post, target };
}

async function conflictsOf({ known }: MemoryInstance, registryId: RegistryId) {
  const conflicts = await known.conflicts(registryId);
  return conflicts.map(({ statement }) => payloadOf(statement));
}

describe('a signature that was requested', () => {
  test('is recorded by the lead and verified and confirmed by the mirror', async () => {
    const { cluster, client, architect, registryId, post, target } = await requested();

    const answer = await post(signDocument(requestId, signer.sign(target)));
    await cluster.settle();

    expect(answer.status).toBe(201);
    expect((await client.status(registryId, 4)).status).toEqual({ status: 'final' });
    for (const instance of [client, architect]) await expectSound(instance, registryId);
  });

  test('offered for another version, or twice, is refused and leaves nothing', async () => {
    const { cluster, client, registryId, post, target } = await requested();
    await client.record(registryId, 'STA-0001', 2);
    await post(requestSignature(signer, 'STA-0001', { requestId: otherRequestId, version: 2 }));
    const signature = signer.sign(target);

    const other = await post(signDocument(otherRequestId, signature));
    const first = await post(signDocument(requestId, signature));
    const second = await post(signDocument(requestId, signer.sign(target, 60)));
    await cluster.settle();

    expect(other.body).toMatchObject({ status: 400, code: 'SIGNATURE_OBJECT_DIFFERS' });
    expect(first.status).toBe(201);
    expect(second.body).toMatchObject({ status: 409, code: 'REQUEST_ALREADY_SIGNED' });
    expect(await client.head(registryId)).toMatchObject({ sequence: 6 });
  });

  test('is given together with version and request in one array of 24', async () => {
    const { cluster, client, architect, registryId, post } = await requested();
    const texts = Array.from({ length: 8 }, (_, index) => `Brief ${index}`);
    const uploaded = [];
    for (const text of texts) uploaded.push(await client.upload(text));
    const all = uploaded.flatMap((content, index) => {
      const id = testUuid(100 + index);
      const documentId = `L-${index}`;
      const what = { registryId, documentId, version: 1, purpose: 'approval' } as const;
      const contentDigest = digestOf(texts[index] as string);
      return [
        { ...uploadOf(documentId, content) },
        requestSignature(signer, documentId, { requestId: id }),
        signDocument(id, signer.sign({ ...what, contentDigest })),
      ];
    });

    const answer = await post(...all);
    await cluster.settle();

    expect(answer.status).toBe(201);
    expect((await client.status(registryId, 27)).status).toEqual({ status: 'final' });
    await expectSound(architect, registryId);
  });
});

function uploadOf(documentId: string, content: { contentDigest: string; size: number }) {
  const draft = {
    type: 'upload-document' as const,
    transactionId: crypto.randomUUID(),
    documentId,
    version: 1,
    mediaType: 'message/rfc822',
    ...content,
  };
  const { transaction, details } = item(draft, { salt: '00'.repeat(16), name: documentId });
  return {
    transaction: Buffer.from(JSON.stringify(transaction)),
    details: Buffer.from(JSON.stringify(details)),
  };
}

describe('a mirror verifies a signature by itself', () => {
  test.each([
    ['of another key', () => testSigner('ES256'), {}],
    ['over other bytes', () => signer, { contentDigest: digestOf('other') }],
    ['over another version', () => signer, { version: 2 }],
  ] as const)('and records the conflict when the lead signed for one %s', async (_what, who, changes) => {
    const { client, architect, registryId, target } = await requested();
    const head = (await architect.known.head(registryId)) as Head;
    const forged = signDocument(requestId, who().sign({ ...target, ...changes }));
    const subject = { sequence: head.sequence, digest: head.digest };
    const { commit } = forgeCommit(client.ports.signer, head, [forged], { subject });

    const outcome = await receiveDelivery(
      architect.ports,
      client.id,
      deliveryOf(registryId, commit),
    );

    expect(outcome).toMatchObject({ outcome: 'in-conflict' });
    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'invalid-transaction', accused: client.id, sequence: 4 },
    ]);
  });
});

describe('a mirror whose own state was changed accuses itself and not the lead', () => {
  /** The mirror's store with one state item in place of what it holds; undefined: gone. */
  function withItem(
    { known }: MemoryInstance,
    key: StateKey,
    change: (item: StateItem) => StateItem | undefined,
  ): LedgerStore {
    return overriding(known, {
      read: async (...[id, keys]: Parameters<LedgerStore['read']>) => {
        const own = await known.read(id, keys);
        const items = new Map(own.items);
        const found = items.get(key);
        if (found === undefined) return own;
        items.delete(key);
        const changed = change(found);
        if (changed !== undefined) items.set(key, changed);
        return { ...own, items };
      },
    });
  }

  test.each([
    ['lost the request', () => undefined],
    ['has it signed', (found: StateItem) => ({ ...found, signed: linkOf(found, 2) })],
    ['asks another key', (found: StateItem) => ({ ...found, publicKey: testSigner().publicKey })],
    ['asks for other bytes', (found: StateItem) => ({ ...found, contentDigest: digestOf('x') })],
    ['asks for another purpose', (found: StateItem) => ({ ...found, purpose: 'receipt' })],
    ['names another entry', (found: StateItem) => ({ ...found, entry: linkOf(found, 2) })],
  ] as readonly (readonly [
    string,
    (found: StateItem) => StateItem | undefined,
  ])[])('and %s', async (_what, change) => {
    const { client, architect, registryId, post, target } = await requested();
    await post(signDocument(requestId, signer.sign(target)));
    const entries = await client.known.entries(registryId, 1, { from: 4, count: 1 });
    const store = withItem(architect, requestKey(requestId), change);

    const delivery = deliveryOf(registryId, ...carriedCommits(entries));
    await receiveDelivery({ ...architect.ports, store }, client.id, delivery);

    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'local-tampering', accused: architect.id },
    ]);
  });

  test('and lost the version that a request asks about', async () => {
    const { client, architect, registryId, post } = await requested();
    await post(requestSignature(signer, 'STA-0001', { requestId: otherRequestId }));
    const entries = await client.known.entries(registryId, 1, { from: 4, count: 1 });
    const store = withItem(architect, 'version#STA-0001#1' as StateKey, () => undefined);

    const delivery = deliveryOf(registryId, ...carriedCommits(entries));
    await receiveDelivery({ ...architect.ports, store }, client.id, delivery);

    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'local-tampering', accused: architect.id },
    ]);
  });

  function linkOf(found: StateItem, sequence: number) {
    const link = 'entry' in found ? found.entry : { sequence: 1, digest: digestOf('x') };
    return { ...link, sequence };
  }
});
