import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeCursor } from '../../shared/http/cursor.ts';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { testPeers } from '../builders.ts';
import { MemoryCluster, type MemoryInstance, salt } from '../memory-cluster.ts';
import { redactionBy } from '../redacting.ts';
import { testSigner } from '../signing.ts';

let client: MemoryInstance;
let registryId: RegistryId;
let other: RegistryId;

beforeAll(async () => {
  const cluster = new MemoryCluster();
  client = await cluster.add('client');
  const architect = await cluster.add('architect');
  registryId = await client.create([architect]);
  other = await client.create([architect], 'Umbau');
  for (const id of ['A', 'B', 'C']) await client.record(registryId, id);
  for (const version of [2, 3]) await client.record(registryId, 'A', version);
  await client.record(other, 'A');
  for (const documentId of ['A', 'B', 'A', 'A']) {
    const draft = {
      type: 'request-signature' as const,
      transactionId: randomUUID(),
      requestId: randomUUID(),
      documentId,
      version: 1,
      purpose: 'approval',
      publicKey: testSigner().publicKey,
    };
    await client.append(registryId, draft, { salt, signer: 'Dr. Weiß' });
  }
  await cluster.settle();
});

/** The list under the name of its member, page by page. */
async function pagesOf(path: string, member: string, limit: number) {
  const pages: Record<string, unknown>[][] = [];
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor && { cursor }) });
    const address = `${path}${path.includes('?') ? '&' : '?'}${query}`;
    const { status, body } = await client.call('GET', address);
    if (status !== 200) throw new Error(JSON.stringify(body));
    pages.push(body[member]);
    cursor = body.next;
  } while (cursor !== undefined && pages.length < 50);
  return pages;
}

const within = (path: string) => path.replace('{registry}', `/v1/registries/${registryId}`);

describe.each([
  ['{registry}/entries', 'entries', 'sequence', 10],
  ['{registry}/confirmations', 'entries', 'sequence', 10],
  ['{registry}/checkpoints', 'checkpoints', 'sequence', 10],
  ['{registry}/documents', 'documents', 'documentId', 3],
  ['{registry}/documents/A/versions', 'versions', 'version', 3],
  ['{registry}/signature-requests', 'signatureRequests', 'requestId', 4],
  ['{registry}/signature-requests?documentId=A', 'signatureRequests', 'requestId', 3],
  ['{registry}/signature-requests?status=open', 'signatureRequests', 'requestId', 4],
  ['/v1/registries', 'registries', 'registryId', 2],
  [`/v1/contents/${digestOf('A version 1')}`, 'versions', 'registryId', 2],
] as const)('GET %s', (path, member, name, count) => {
  test.each([1, 2, 3, 100])('shows all of its items once, in pages of %i', async (limit) => {
    const whole = await pagesOf(within(path), member, 100);

    const pages = await pagesOf(within(path), member, limit);

    const found = pages.flat().map((item) => item[name]);
    expect(new Set(found).size).toBe(count);
    expect(found).toEqual(whole.flat().map((item) => item[name]));
    for (const page of pages) expect(page.length).toBeLessThanOrEqual(limit);
  });

  test('refuses a made-up cursor', async () => {
    const { status, body } = await client.call('GET', withCursor(within(path), 'e30'));

    expect([status, body.code]).toEqual([400, 'PARAMETER_INVALID']);
    expect(body.detail).toBe(
      'cursor: expected what this very list answered as next, with the same filters',
    );
  });

  test('refuses a cursor of its own with a position that it cannot have', async () => {
    const list = within(path);
    const cursor = encodeCursor(list, '../..');

    const { status, body } = await client.call('GET', withCursor(list, cursor));

    expect([status, body.code]).toEqual([400, 'PARAMETER_INVALID']);
  });
});

function withCursor(path: string, cursor: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}cursor=${cursor}`;
}

test('entries, checkpoints and requests come in sequence order', async () => {
  const entries = await pagesOf(within('{registry}/entries'), 'entries', 3);
  const requests = await pagesOf(within('{registry}/signature-requests'), 'signatureRequests', 3);

  expect(entries.flat().map((each) => each['sequence'])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  const asked = requests.flat().map((each) => Object(each['requestedBy']).sequence);
  expect(asked).toEqual([7, 8, 9, 10]);
});

describe('a cursor goes on with its own list only', () => {
  async function nextOf(path: string): Promise<string> {
    return (await client.call('GET', path)).body.next;
  }

  test.each([
    ['another registry', () => `/v1/registries/${other}/entries`],
    ['another list of the registry', () => within('{registry}/checkpoints')],
  ])('%s refuses it', async (_name, path) => {
    const next = await nextOf(within('{registry}/entries?limit=1'));

    const answer = await client.call('GET', withCursor(path(), next));

    expect([answer.status, answer.body.code]).toEqual([400, 'PARAMETER_INVALID']);
  });

  test('another filter refuses it, another page size does not', async () => {
    const list = within('{registry}/signature-requests');
    const next = await nextOf(`${list}?documentId=A&limit=1`);

    const wider = await client.call('GET', `${list}?cursor=${next}`);
    const larger = await client.call('GET', `${list}?documentId=A&cursor=${next}&limit=9`);

    expect(wider.body.code).toBe('PARAMETER_INVALID');
    expect(larger.body.signatureRequests).toHaveLength(2);
  });
});

test('a position beyond the end is an empty last page', async () => {
  const list = within('{registry}/entries');

  const { body } = await client.call('GET', withCursor(list, encodeCursor(list, '999')));

  expect(body).toEqual({ entries: [] });
});

test('a page of entries with long redactions is no larger than a delivery, and goes on', async () => {
  const [instance, operator] = testPeers(2);
  if (instance === undefined || operator === undefined) throw new Error('no peers');
  const lead = await new MemoryCluster().add('lead');
  const redacted = await lead.create([]);
  const reason = '🏗'.repeat(limits.descriptionCharactersMax);
  const count = 99;
  const sequences = Array.from({ length: count }, (_, index) => index + 2);
  for (const sequence of sequences) {
    await lead.record(redacted, `D${sequence}`);
    const [stored] = await lead.known.entries(redacted, 1, { from: sequence, count: 1 });
    if (stored === undefined) throw new Error(`no entry ${sequence}`);
    const place = { registryId: redacted, sequence: stored.sequence, reason };
    const signed = redactionBy(instance, operator, place);
    await lead.known.redactDetails(redacted, 1, stored, signed);
  }

  const path = `/v1/registries/${redacted}/entries?limit=100`;
  const { bytes } = await lead.exchange('GET', path);
  const { entries, next } = JSON.parse(bytes.toString());

  expect(bytes.length).toBeLessThan(1.1 * limits.deliveryBytesMax);
  expect(entries.length).toBeLessThan(count);
  expect(next).toEqual(expect.any(String));
});
