import { beforeAll, describe, expect, test } from 'vitest';
import type { RegistryClient } from '../../shared/client/registry-client.ts';
import type { MemoryEndpoint } from '../memory-endpoint.ts';
import { all, clientOf, keepOpen, quick } from './clients.ts';
import { type Furnished, furnished } from './furnished.ts';
import { at, lie } from './lying.ts';

/** An instance whose pages hold at most so many rows. */
function withPagesOf(rows: number, endpoint: MemoryEndpoint): void {
  endpoint.intercept = (arrived, carry) => {
    const url = new URL(arrived.path, endpoint.origin);
    const isList =
      /(?:registries|entries|documents|versions|requests|points|confirmations|contents\/\w+)$/;
    if (
      arrived.method === 'GET' &&
      isList.test(url.pathname) &&
      !/entries\/\d/.test(url.pathname)
    ) {
      const asked = Number(url.searchParams.get('limit') ?? rows);
      url.searchParams.set('limit', String(Math.min(rows, asked)));
      arrived.path = url.pathname + url.search;
    }
    return carry();
  };
}

let held: Furnished;
let client: RegistryClient;

beforeAll(async () => {
  held = await furnished();
  client = clientOf(held.atLead, { retries: quick });
  for (const name of ['second', 'third'])
    await client.createRegistry({ name, peers: [held.lead.id] });
  const { receipt } = await client.entry(held.registryId, 4);
  const {
    transactionId: _id,
    detailsDigest: _digest,
    ...content
  } = receipt.transaction as {
    readonly transactionId: string;
    readonly detailsDigest: string;
  };
  const more = ['C', 'D', 'E'].map((documentId) => ({
    type: 'upload-document' as const,
    members: { ...content, documentId },
    details: { name: documentId },
  }));
  await client.append(held.registryId, more);
  withPagesOf(2, held.atLead);
  keepOpen();
});

test('every list goes on over its pages, and comes out whole', async () => {
  const { registryId } = held;
  const { contentDigest } = await client.version(registryId, 'B', 1);

  expect(await all(client.registries())).toHaveLength(3);
  expect((await all(client.entries(registryId))).map(({ sequence }) => sequence)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
  ]);
  expect((await all(client.documents(registryId))).map(({ documentId }) => documentId)).toEqual([
    'A',
    'B',
    'C',
    'D',
    'E',
  ]);
  expect((await all(client.versions(registryId, 'A'))).map(({ version }) => version)).toEqual([
    1, 2,
  ]);
  expect((await all(client.contents(contentDigest))).map(({ entry }) => entry.sequence)).toEqual([
    4, 8, 9, 10,
  ]);
  expect(await all(client.signingRequests(registryId))).toHaveLength(2);
  expect(await all(client.confirmations(registryId))).toHaveLength(10);
  // Entries 8 to 10 share a commit.
  expect((await all(client.checkpoints(registryId))).map(({ sequence }) => sequence)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 10,
  ]);
});

test('a page is asked for when it is needed, and not before', async () => {
  const { atLead, registryId } = held;
  const before = atLead.arrived.length;

  for await (const each of client.entries(registryId)) if (each.sequence === 3) break;

  const pages = atLead.arrived.slice(before).filter(({ path }) => /\/entries\?/.test(path)).length;
  expect(pages).toBe(2);
});

describe('a part of the entries', () => {
  test.each([
    [{ from: 4 }, [4, 5, 6, 7, 8, 9, 10]],
    [{ to: 3 }, [1, 2, 3]],
    [{ from: 4, to: 4 }, [4]],
    [{ from: 3, to: 8 }, [3, 4, 5, 6, 7, 8]],
    [{ from: 11 }, []],
    [{ from: 5, to: 4 }, []],
  ])('%j is proven alike', async (range, expected) => {
    const { registryId } = held;

    const entries = await all(client.entries(registryId, range));
    const confirmations = await all(client.confirmations(registryId, range));

    expect(entries.map(({ sequence }) => sequence)).toEqual(expected);
    expect(confirmations.map(({ sequence }) => sequence)).toEqual(expected);
  });

  test('does not cost the pages before it', async () => {
    const { atLead, registryId } = held;
    const before = atLead.arrived.length;

    await all(client.entries(registryId, { from: 9 }));

    const pages = atLead.arrived.slice(before).filter(({ path }) => /\/entries\?/.test(path));
    expect(pages).toHaveLength(1);
  });
});

test('a list whose pages lead back to themselves ends', async () => {
  const { atLead, registryId } = held;
  const stop = lie(atLead, '/documents', at('next', 'again'));
  const next = atLead.intercept;
  atLead.intercept = (arrived, carry) => {
    arrived.path = arrived.path.replace('cursor=again', '');
    return next(arrived, carry);
  };

  const read = all(client.documents(registryId));

  await expect(read).rejects.toMatchObject({ code: 'ANSWER_MALFORMED' });
  stop();
});

test('the reading of a list can be ended', async () => {
  const ended = new AbortController();
  const reason = new Error('enough');
  const list = client.entries(held.registryId, { signal: ended.signal });
  await list.next();
  await list.next();
  ended.abort(reason);

  await expect(list.next()).rejects.toBe(reason);
});
