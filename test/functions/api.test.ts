import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { DenyList } from '../../shared/registry/deny-list.ts';
import { testApplication, testInstance } from '../certificate-authority.ts';
import { reportTampering } from '../deciding.ts';
import {
  type ApiAnswer,
  item,
  MemoryCluster,
  type MemoryInstance,
  one,
  salt,
  uploadDraft,
} from '../memory-cluster.ts';
import { expectSound } from '../sound-ledger.ts';

/** Of nothing that was ever recorded. */
const uuid = '00000000-0000-4000-8000-000000000000';

async function leading() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  const path = `/v1/registries/${registryId}/transactions`;
  return { cluster, client, architect, registryId, path };
}

/** RFC 9457, with the members that this API adds. */
function expectProblem(answer: ApiAnswer, status: number, code: string): void {
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.headers['cache-control']).toBe('no-store');
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code });
  const { type, title, detail } = answer.body;
  expect(type).toBe(`urn:registry:problem:${code.toLowerCase().replaceAll('_', '-')}`);
  expect(answer.body.status).toBe(status);
  expect(answer.body.requestId).toBe(answer.headers['x-request-id']);
  expect(title).toMatch(/^[A-Z][a-z0-9 ]+$/);
  expect(detail.length).toBeGreaterThan(15);
}

const details = { salt, name: 'Grundriss' };

/** A request for version 1 of A whose bytes are there. */
async function goodRequest(client: MemoryInstance) {
  const content = await client.upload('A');
  return one(uploadDraft('A', 1, content), details);
}

describe('what an application can get wrong is a problem, and changes nothing', () => {
  async function refused(
    bytesOf: (good: ReturnType<typeof one>, client: MemoryInstance) => Uint8Array | undefined,
  ) {
    const { client, registryId, path } = await leading();
    const body = bytesOf(await goodRequest(client), client);

    const answer = await client.callRaw('POST', path, body);

    expect((await client.head(registryId))?.sequence).toBe(1);
    await expectSound(client, registryId);
    return answer;
  }

  const text = (value: unknown) => encodeCanonical(value).toString();
  const draft = (changes: object) => one({ ...uploadDraft('A', 1, content), ...changes }, details);
  const content = { contentDigest: 'ab'.repeat(32), size: 1 };

  test('no body at all', async () => {
    expectProblem(await refused(() => undefined), 400, 'NOT_JSON');
  });

  test('an unknown member of a transaction, named', async () => {
    const answer = await refused(() => encodeCanonical(draft({ colour: 'red' })));

    expectProblem(answer, 400, 'UNKNOWN_MEMBER');
    expect(answer.body.detail).toContain('colour');
    expect(answer.body.detail).toContain('transactions.0');
  });

  test('an unknown member beside the transactions', async () => {
    const answer = await refused((good) => encodeCanonical({ ...good, colour: 'red' }));

    expectProblem(answer, 400, 'SCHEMA_VIOLATION');
  });

  test('a version that is not the next', async () => {
    const answer = await refused((good) => {
      const [{ transaction } = { transaction: {} }] = good.transactions;
      const { contentDigest, size } = transaction;
      return encodeCanonical(one(uploadDraft('A', 2, { contentDigest, size }), details));
    });

    expectProblem(answer, 409, 'VERSION_NOT_NEXT');
    expect(answer.body.detail).toContain('the next version is 1');
  });

  test('a version that is not the next one, before anybody uploads its bytes', async () => {
    const answer = await refused(() => encodeCanonical(draft({ version: 7 })));

    expectProblem(answer, 409, 'VERSION_NOT_NEXT');
  });

  test('a document that was not uploaded before, with the remedy', async () => {
    const answer = await refused(() => encodeCanonical(draft({})));

    expectProblem(answer, 409, 'CONTENT_NOT_UPLOADED');
    expect(answer.body.detail).toContain('POST /v1/uploads');
  });

  test('a size that differs from what was uploaded', async () => {
    const answer = await refused((good) => {
      const [{ transaction } = { transaction: {} }] = good.transactions;
      const { contentDigest } = transaction;
      return encodeCanonical(one(uploadDraft('A', 1, { contentDigest, size: 99 }), details));
    });

    expectProblem(answer, 409, 'CONTENT_SIZE_DIFFERS');
  });

  test('a name of 300 characters', async () => {
    const answer = await refused(() =>
      encodeCanonical(one(uploadDraft('A', 1, content), { salt, name: 'ü'.repeat(300) })),
    );

    expectProblem(answer, 400, 'SCHEMA_VIOLATION');
    expect(answer.body.detail).toContain('name: expected 1 to 256 characters');
  });

  test('a transaction of 65 KiB', async () => {
    const answer = await refused(() => encodeCanonical(draft({ filler: 'x'.repeat(65 * 1024) })));

    expectProblem(answer, 413, 'TOO_LARGE');
    expect(answer.body.detail).toContain(String(limits.transactionBytesMax));
  });

  test('a body of more than a mebibyte', async () => {
    const answer = await refused(() => Buffer.alloc(limits.appendBytesMax + 5000, 0x20));

    expectProblem(answer, 413, 'TOO_LARGE');
  });

  test('25 transactions', async () => {
    const answer = await refused(() =>
      encodeCanonical({
        transactions: Array.from({ length: 25 }, () => item(uploadDraft('A', 1, content), details)),
      }),
    );

    expectProblem(answer, 400, 'SCHEMA_VIOLATION');
    expect(answer.body.detail).toContain('1 to 24');
  });

  test('no transactions', async () => {
    const answer = await refused(() => encodeCanonical({ transactions: [] }));

    expectProblem(answer, 400, 'SCHEMA_VIOLATION');
  });

  test.each([
    [
      'a duplicate name',
      (good: string) => good.replace('"size":', '"size":0,"size":'),
      'NOT_CANONICAL',
    ],
    ['white space', (good: string) => ` ${good}`, 'NOT_CANONICAL'],
    ['text behind the end', (good: string) => `${good}{}`, 'NOT_JSON'],
    [
      'half of a surrogate pair',
      (good: string) => good.replace('Grundriss', '\\ud83d'),
      'LONE_SURROGATE',
    ],
    [
      'the number 1e400',
      (good: string) => good.replace(/"size":\d+/, '"size":1e400'),
      'UNSAFE_NUMBER',
    ],
    [
      'the number 9007199254740993',
      (good: string) => good.replace(/"size":\d+/, '"size":9007199254740993'),
      'UNSAFE_NUMBER',
    ],
    [
      'the number 1.0',
      (good: string) => good.replace(/"version":1/, '"version":1.0'),
      'NOT_CANONICAL',
    ],
    ['a NUL', (good: string) => good.replace('Grundriss', '\\u0000'), 'NUL_CHARACTER'],
    ['text that is not NFC', (good: string) => good.replace('Grundriss', 'u\u0308'), 'NOT_NFC'],
    [
      'the name __proto__',
      (good: string) => good.replace('"size":', '"__proto__":{},"size":'),
      'RESERVED_NAME',
    ],
    [
      '17 levels',
      (good: string) => good.replace(/"size":\d+/, `"size":${'['.repeat(17)}${']'.repeat(17)}`),
      'TOO_DEEP',
    ],
  ])('%s', async (_name, change, code) => {
    const answer = await refused((good) => Buffer.from(change(text(good))));

    expectProblem(answer, 400, code);
  });

  test('a byte order mark', async () => {
    const answer = await refused((good) => Buffer.from(`\ufeff${text(good)}`));

    expectProblem(answer, 400, 'BYTE_ORDER_MARK');
  });

  test('UTF-16', async () => {
    const answer = await refused((good) => Buffer.from(`\ufeff${text(good)}`, 'utf16le'));

    expectProblem(answer, 400, 'NOT_UTF8');
  });

  test('a wrong version of the format', async () => {
    const answer = await refused(() =>
      encodeCanonical(draft({ format: 'registry/transaction/v2' })),
    );

    expectProblem(answer, 400, 'UNKNOWN_FORMAT');
    expect(answer.body.detail).toContain('expected registry/transaction/v1');
  });

  test('details that are not those that the transaction names', async () => {
    const answer = await refused((good) =>
      encodeCanonical({
        transactions: good.transactions.map((each) => ({
          ...each,
          details: { ...(each.details as object), name: 'Schnitt' },
        })),
      }),
    );

    expectProblem(answer, 400, 'DETAILS_DIGEST_DIFFERS');
  });

  test('a second create-registry', async () => {
    const answer = await refused((_good, client) =>
      encodeCanonical(
        one(
          { type: 'create-registry', transactionId: randomUUID(), peers: [client.id] },
          { salt, name: 'Zweites' },
        ),
      ),
    );

    expectProblem(answer, 400, 'NOT_FIRST_ENTRY');
  });
});

test('a transaction is answered 201, again 200 with the same body, with other content 409', async () => {
  const { client, registryId, path } = await leading();
  const request = await goodRequest(client);
  const [{ transaction } = { transaction: {} }] = request.transactions;
  const content = await client.upload('B');
  const { transactionId } = transaction;
  const other = one({ ...uploadDraft('B', 1, content), transactionId }, details);

  const first = await client.call('POST', path, request);
  const again = await client.call('POST', path, request);
  const reused = await client.call('POST', path, other);

  expect([first.status, again.status]).toEqual([201, 200]);
  expect(again.body).toEqual(first.body);
  expect(Object.keys(again.headers).sort()).toEqual(Object.keys(first.headers).sort());
  expect(again.headers['content-type']).toBe(first.headers['content-type']);
  expect(again.headers).not.toHaveProperty('etag');
  expect(payloadOf(first.body.checkpoint)).toMatchObject({ sequence: 2, registryId });
  expectProblem(reused, 409, 'TRANSACTION_ID_REUSED');
  const kept = await client.call('GET', `${path}/${transactionId}`);
  expect(kept.body).toEqual(first.body);
});

test('a mirror answers 421 with the lead and where it lives', async () => {
  const { cluster, client, architect, registryId, path } = await leading();
  await cluster.settle();

  const answer = await architect.call('POST', path, await goodRequest(architect));

  expectProblem(answer, 421, 'NOT_THE_LEAD');
  expect(answer.body).toMatchObject({ lead: client.id, leadEndpoint: 'https://client.example' });
  expect((await architect.head(registryId))?.sequence).toBe(1);
});

test('a blocked registry answers 409 with its conflicts, goes on reading, and lists them', async () => {
  const { client, registryId, path } = await leading();
  const conflictId = await reportTampering(client, registryId, 1);

  const answer = await client.call('POST', path, await goodRequest(client));

  expectProblem(answer, 409, 'REGISTRY_IN_CONFLICT');
  expect(answer.body.conflicts).toEqual([conflictId]);
  expect(answer.body.detail).toContain('/conflicts');
  const { body } = await client.call('GET', `/v1/registries/${registryId}/conflicts`);
  expect(body.conflicts).toMatchObject([{ conflictId, open: true }]);
  expect((await client.call('GET', `/v1/registries/${registryId}/entries/1`)).status).toBe(200);
});

test('a store that is busy for long is answered 503 with when to come again', async () => {
  const { client, path } = await leading();
  const request = await goodRequest(client);
  client.store.plan('commit', 'busy', 8);

  const answer = await client.call('POST', path, request);
  const again = await client.call('POST', path, request);

  expectProblem(answer, 503, 'BUSY');
  expect(answer.headers['retry-after']).toBe('1');
  expect(answer.body.retryable).toBe(true);
  expect(JSON.stringify(answer.body)).not.toContain('checkpoint');
  expect(again.status).toBe(201);
});

test('what nobody expected is answered 500 without its inside, which the log has', async () => {
  const { client, registryId } = await leading();
  client.store.plan('head', 'lost');

  const answer = await client.call('GET', `/v1/registries/${registryId}`);

  expectProblem(answer, 500, 'INTERNAL');
  expect(answer.body.detail).toContain(answer.headers['x-request-id']);
  expect(JSON.stringify(answer.body)).not.toContain('scripted');
  expect(client.logged.at(-1)).toMatchObject({ message: 'request failed' });
});

test('an unknown route is 404, a known one with another method 405 with Allow', async () => {
  const { client, registryId } = await leading();

  expectProblem(await client.callRaw('GET', '/v1/nowhere'), 404, 'ROUTE_UNKNOWN');
  const answer = await client.callRaw('DELETE', `/v1/registries/${registryId}`);
  expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
  expect(answer.headers['allow']).toBe('GET');
  const both = await client.callRaw('PUT', '/v1/registries');
  expect(both.headers['allow']?.split(', ').sort()).toEqual(['GET', 'POST']);
});

test('a path that does not decode is a route that does not exist', async () => {
  const { client } = await leading();

  expectProblem(await client.callRaw('GET', '/v1/registries/%E0%A4%A'), 404, 'ROUTE_UNKNOWN');
});

test.each(['auditor', 'operator'] as const)('an %s reads, but records nothing', async (role) => {
  const { client, registryId, path } = await leading();
  const pem = client[role].certificatePem;
  const body = encodeCanonical(await goodRequest(client));

  expectProblem(await client.callRaw('POST', path, body, pem), 403, 'ROLE_NOT_ALLOWED');
  const read = await client.callRaw('GET', `/v1/registries/${registryId}`, undefined, pem);
  expect(read.status).toBe(200);
  expect((await client.head(registryId))?.sequence).toBe(1);
});

test('a peer has no role in the API of applications', async () => {
  const { client, architect, registryId } = await leading();
  const pem = architect.certificate.certificatePem;

  const answer = await client.callRaw('GET', `/v1/registries/${registryId}`, undefined, pem);

  expectProblem(answer, 403, 'ROLE_NOT_ALLOWED');
});

test('a caller of the cluster that is not listed, one without certificate, one of another cluster', async () => {
  const { cluster, client } = await leading();
  const unlisted = testApplication(cluster.authority).certificatePem;
  const foreign = testApplication(new MemoryCluster().authority).certificatePem;

  const call = (pem: string) => client.callRaw('GET', '/v1/instance', undefined, pem);

  expectProblem(await call(unlisted), 403, 'CALLER_NOT_LISTED');
  expectProblem(await call(''), 403, 'CLIENT_CERTIFICATE_MISSING');
  expectProblem(await call(foreign), 403, 'CLIENT_CERTIFICATE_UNTRUSTED');
});

test("a caller that the instance's file denies is refused whatever else it is", async () => {
  const { client } = await leading();
  const inFile = new Set<string>([client.application.certificateId]);
  const { clock } = client.ports;
  const denyList = new DenyList({ store: client.denials, clock, inFile });
  client.ports = { ...client.ports, denyList };

  expectProblem(await client.call('GET', '/v1/instance'), 403, 'CALLER_DENIED');
});

test.each([
  ['a registry that is not here', `/v1/registries/${'0'.repeat(64)}`, 'REGISTRY_UNKNOWN'],
  ['an entry beyond the head', '{registry}/entries/2', 'ENTRY_UNKNOWN'],
  ['an entry by an unknown transaction', `{registry}/entries/${uuid}`, 'ENTRY_UNKNOWN'],
  ['an unknown transaction', `{registry}/transactions/${uuid}`, 'TRANSACTION_UNKNOWN'],
  ['an unknown document', '{registry}/documents/A', 'DOCUMENT_UNKNOWN'],
  ['the versions of an unknown document', '{registry}/documents/A/versions', 'DOCUMENT_UNKNOWN'],
  ['an unknown version', '{registry}/documents/A/versions/1', 'DOCUMENT_UNKNOWN'],
  [
    'content of an unknown version',
    '{registry}/documents/A/versions/1/content',
    'DOCUMENT_UNKNOWN',
  ],
  [
    'an unknown signature request',
    `{registry}/signature-requests/${uuid}`,
    'SIGNATURE_REQUEST_UNKNOWN',
  ],
  ['an unknown certificate', `/v1/certificates/${'0'.repeat(64)}`, 'CERTIFICATE_UNKNOWN'],
])('%s is 404', async (_name, template, code) => {
  const { client, registryId } = await leading();

  const answer = await client.call(
    'GET',
    template.replace('{registry}', `/v1/registries/${registryId}`),
  );

  expectProblem(answer, 404, code);
});

test.each([
  ['/v1/registries/abc', 'registryId: expected a SHA-256 digest: 64 lower-case hex digits'],
  ['{registry}/entries/0', 'entryId: expected a sequence from 1, or a transaction id'],
  ['{registry}/entries/1e0', 'entryId: expected a sequence from 1, or a transaction id'],
  ['{registry}/transactions/x', 'transactionId: expected a UUID in lower case'],
  ['{registry}/transactions/{long}', 'transactionId: expected a UUID'],
  ['{registry}/documents/%2F', 'documentId: expected letters, digits'],
  ['{registry}/documents/{long}', 'documentId: '],
  ['{registry}/documents/A/versions/x', 'version: expected a version number from 1'],
  ['{registry}/documents/A/versions/0', 'version: expected a version number from 1'],
  ['{registry}/entries?limit=101', 'limit: expected 1 to 100'],
  ['{registry}/entries?limit=0', 'limit: expected 1 to 100'],
  ['{registry}/entries?limit=', 'limit: expected 1 to 100'],
  ['{registry}/entries?limit=1,2', 'limit: expected 1 to 100'],
  [
    '{registry}/entries?after=1',
    'after: there is no such query parameter here; expected: from, to, limit, cursor',
  ],
  ['{registry}?toString=1', 'toString: there is no such query parameter here; expected: none'],
  ['{registry}?limit=1', 'limit: there is no such query parameter here; expected: none'],
  ['{registry}/signature-requests?status=late', 'status: '],
  ['/v1/certificates/abc', 'certificateId: expected a certificate id'],
  ['/v1/contents/abc', 'contentDigest: expected a SHA-256 digest'],
])('%s is refused with the member and what was expected', async (template, detail) => {
  const { client, registryId } = await leading();

  const answer = await client.call(
    'GET',
    template
      .replace('{registry}', `/v1/registries/${registryId}`)
      .replace('{long}', 'x'.repeat(3000)),
  );

  expectProblem(answer, 400, 'PARAMETER_INVALID');
  expect(answer.body.detail).toContain(detail);
});

describe('bodies that nobody hashes', () => {
  test.each([
    ['nothing', '', 'NOT_JSON', 400],
    ['no JSON', 'size=3', 'NOT_JSON', 400],
    ['an unknown member', '{"contentDigest":"00","size":1,"colour":2}', 'UNKNOWN_MEMBER', 400],
    ['a digest that is none', '{"contentDigest":"00","size":1}', 'SCHEMA_VIOLATION', 400],
    [
      'a size below zero',
      `{"contentDigest":"${'0'.repeat(64)}","size":-1}`,
      'SCHEMA_VIOLATION',
      400,
    ],
    ['6 GiB', `{"contentDigest":"${'0'.repeat(64)}","size":6442450944}`, 'SCHEMA_VIOLATION', 400],
    ['too much', `"${'x'.repeat(70_000)}"`, 'TOO_LARGE', 413],
  ])('an upload asked for with %s is a problem', async (_name, body, code, status) => {
    const { client } = await leading();

    expectProblem(await client.callRaw('POST', '/v1/uploads', Buffer.from(body)), status, code);
  });

  test('an upload in UTF-16 is a problem that says which encoding to use', async () => {
    const { client } = await leading();

    const answer = await client.callRaw('POST', '/v1/uploads', Buffer.from('{}', 'utf16le'));

    expectProblem(answer, 400, 'NOT_JSON');
    expect(answer.body.detail).toContain('UTF-8');
  });

  test('bytes that are here already need no upload', async () => {
    const { client } = await leading();
    const content = await client.upload('A');

    const held = await client.call('POST', '/v1/uploads', content);
    const larger = await client.call('POST', '/v1/uploads', { ...content, size: 500 });

    expect(held).toMatchObject({ status: 200, body: { held: true } });
    expectProblem(larger, 409, 'CONTENT_SIZE_DIFFERS');
  });

  test('bytes for a registry that is not here are not taken', async () => {
    const { client } = await leading();
    const content = { contentDigest: digestOf('new'), size: 3 };

    const answer = await client.call('POST', '/v1/uploads', {
      ...content,
      registryId: digestOf('another'),
    });

    expectProblem(answer, 404, 'REGISTRY_UNKNOWN');
  });
});

describe('introducing an instance', () => {
  test('keeps the certificate in its one form, also where it came with other line ends', async () => {
    const { cluster, client } = await leading();
    const { certificatePem, certificateId } = testInstance(
      cluster.authority,
      'https://new.example',
    );

    const answer = await client.call('POST', '/v1/certificates', {
      certificatePem: certificatePem.replaceAll('\n', '\r\n'),
    });

    expect(answer.body).toMatchObject({ certificateId, endpoint: 'https://new.example' });
    const kept = await client.call('GET', `/v1/certificates/${certificateId}`);
    expect(kept.body.certificatePem).toBe(certificatePem);
  });

  test.each([
    ['an application', (cluster: MemoryCluster) => testApplication(cluster.authority)],
    ['an instance of another cluster', () => testInstance(new MemoryCluster().authority)],
  ])('%s is refused', async (_name, made) => {
    const { cluster, client } = await leading();
    const { certificatePem } = made(cluster);

    const answer = await client.call('POST', '/v1/certificates', { certificatePem });

    expectProblem(answer, 400, 'CERTIFICATE_REFUSED');
  });
});

test('log lines hold no body, no query and no certificate', async () => {
  const { client, path } = await leading();
  const request = await goodRequest(client);
  await client.call('POST', path, request);
  await client.call('GET', '/v1/registries?limit=7');

  const lines = JSON.stringify(client.logged);

  expect(client.logged.length).toBeGreaterThan(2);
  for (const secret of ['Grundriss', salt, 'limit=7', 'BEGIN', 'transactions":'])
    expect(lines).not.toContain(secret);
});
