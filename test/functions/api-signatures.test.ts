import { createPrivateKey, createPublicKey, randomUUID, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { readSigningKey, type SignatureAlgorithm } from '../../shared/ledger/signature.ts';
import { testApplication } from '../certificate-authority.ts';
import { MemoryCluster, type MemoryInstance, salt } from '../memory-cluster.ts';
import { signBytes, type TestSigner, testSigner } from '../signing.ts';
import { expectSound } from '../sound-ledger.ts';

/** A lead and a mirror with one document, whose signature is requested of the signer. */
async function requested(signer: Pick<TestSigner, 'publicKey'> = testSigner('ES256')) {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  await client.record(registryId, 'plan-1');
  const requestId = await requestOf(client, registryId, signer);
  const path = `/v1/registries/${registryId}/signature-requests/${requestId}`;
  return { cluster, client, architect, registryId, requestId, path };
}

async function requestOf(
  client: MemoryInstance,
  registryId: RegistryId,
  { publicKey }: Pick<TestSigner, 'publicKey'>,
): Promise<string> {
  const requestId = randomUUID();
  const draft = {
    type: 'request-signature' as const,
    transactionId: randomUUID(),
    requestId,
    documentId: 'plan-1',
    version: 1,
    purpose: 'approval',
    publicKey,
  };
  const answer = await client.append(registryId, draft, { salt, signer: 'Dr. Weiß' });
  expect(answer.status).toBe(201);
  return requestId;
}

async function inputOf(client: MemoryInstance, path: string, query = '') {
  const { status, body } = await client.call('GET', `${path}/signing-input${query}`);
  expect(status).toBe(200);
  return body;
}

/** The bytes of the served input, signed as a program does it. */
function signed({ algorithm, key }: TestSigner, input: { readonly signingInput: string }): Buffer {
  return signBytes(algorithm, key, Buffer.from(input.signingInput, 'base64'));
}

function headerOf(input: { readonly protected: string }) {
  return JSON.parse(Buffer.from(input.protected, 'base64url').toString());
}

describe('a required signature is given with what a program signed', () => {
  const algorithms: readonly SignatureAlgorithm[] = ['ES256', 'ES384', 'ES512', 'EdDSA', 'PS256'];

  test.each(algorithms)('%s, the algorithm of the key', async (algorithm) => {
    const signer = testSigner(algorithm);
    const { client, registryId, path } = await requested(signer);
    const input = await inputOf(client, path);
    const { protected: header } = input;

    const answer = await client.call('POST', `${path}/signatures`, {
      transactionId: randomUUID(),
      protected: header,
      signature: signed(signer, input).toString('base64'),
    });

    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ status: 'recorded', entries: [{ sequence: 4 }] });
    const { body } = await client.call('GET', path);
    expect(body).toMatchObject({ status: 'signed', signature: { algorithm, legacy: false } });
    expect(body.signature.claimedAt).toBe(input.issuedAt);
    await expectSound(client, registryId);
  });

  test('RS256 where it is asked for, and shown as legacy', async () => {
    const signer = testSigner('RS256');
    const { client, path } = await requested(signer);
    const input = await inputOf(client, path, '?algorithm=RS256');
    const { protected: header } = input;

    await client.call('POST', `${path}/signatures`, {
      transactionId: randomUUID(),
      protected: header,
      signature: signed(signer, input).toString('base64'),
    });

    const { body } = await client.call('GET', path);
    expect(body.signature).toMatchObject({ algorithm: 'RS256', legacy: true });
  });

  test.each([
    ['DER in base64url', (der: Buffer) => der.toString('base64url')],
    ['r and s side by side in base64', (_der: Buffer, raw: Buffer) => raw.toString('base64')],
    ['r and s side by side in base64url', (_der: Buffer, raw: Buffer) => raw.toString('base64url')],
  ])('as %s', async (_name, written) => {
    const signer = testSigner('ES256');
    const { client, path } = await requested(signer);
    const input = await inputOf(client, path);
    const der = signed(signer, input);
    const { protected: header } = input;

    const answer = await client.call('POST', `${path}/signatures`, {
      transactionId: randomUUID(),
      protected: header,
      signature: written(der, rawOf(der)),
    });

    expect(answer.status).toBe(201);
  });

  test('as flattened JWS', async () => {
    const signer = testSigner('EdDSA');
    const { client, path } = await requested(signer);
    const input = await inputOf(client, path);
    const signature = signed(signer, input).toString('base64url');
    const { protected: header } = input;

    const answer = await client.call('POST', `${path}/signatures`, {
      transactionId: randomUUID(),
      jws: { protected: header, signature },
    });

    expect(answer.status).toBe(201);
  });
});

/** r and s of an ECDSA signature in DER, over P-256. */
function rawOf(der: Buffer): Buffer {
  const integers: Buffer[] = [];
  for (let at = 2; at < der.length; ) {
    const length = der[at + 1] ?? 0;
    const integer = der.subarray(at + 2, at + 2 + length);
    integers.push(Buffer.concat([Buffer.alloc(32), integer]).subarray(-32));
    at += 2 + length;
  }
  return Buffer.concat(integers);
}

describe('the signing input', () => {
  test('names the version, its SHA-256, the purpose and the time', async () => {
    const { client, registryId, requestId, path } = await requested();

    const input = await inputOf(client, path, '?issuedAt=2026-11-22T10:00:00.000Z');

    const contentDigest = digestOf('plan-1 version 1');
    const objectUrn = `urn:registry:${registryId}:document:plan-1:version:1`;
    expect(input).toMatchObject({
      requestId,
      algorithm: 'ES256',
      issuedAt: '2026-11-22T10:00:00.000Z',
      objectUrn,
      contentDigest,
      purpose: 'approval',
      digest: digestOf(Buffer.from(input.signingInput, 'base64')),
    });
    expect(headerOf(input)).toMatchObject({
      iat: 1_795_341_600,
      sigD: {
        pars: [objectUrn],
        hashV: [Buffer.from(contentDigest, 'hex').toString('base64url')],
      },
    });
  });

  test('is of now, in whole seconds, where no time is given', async () => {
    const { cluster, client, path } = await requested();
    const second = 1000 * Math.ceil(cluster.nowMs / 1000);
    cluster.nowMs = second + 650;

    const issuedAt = new Date(second).toISOString();
    expect(await inputOf(client, path)).toMatchObject({ issuedAt });
  });

  test('is given as the very bytes to whoever accepts them, with what belongs to them', async () => {
    const { client, path } = await requested();
    const address = `${path}/signing-input?issuedAt=2026-11-22T10:00:00.000Z`;
    const { body } = await client.call('GET', address);

    const { headers, bytes } = await client.exchange('GET', address, {
      headers: { accept: 'application/octet-stream' },
    });

    expect(headers['content-type']).toBe('application/octet-stream');
    expect(headers['vary']).toBe('accept');
    expect(bytes.toString('base64')).toBe(body.signingInput);
    expect(bytes.toString()).toBe(`${body.protected}.`);
    expect(headers['x-protected-header']).toBe(body.protected);
    expect(headers['x-signing-input-sha256']).toBe(digestOf(bytes));
  });

  test.each([
    '*/*',
    'application/json, application/octet-stream;q=0.5',
  ])('is JSON to whoever accepts %s', async (accept) => {
    const { client, path } = await requested();

    const { headers } = await client.exchange('GET', `${path}/signing-input`, {
      headers: { accept },
    });

    expect(headers['content-type']).toBe('application/json');
  });

  test('holds the certificate of the signer, and those above it', async () => {
    const { certificatePem, keyPem } = testApplication(new MemoryCluster().authority);
    const read = readSigningKey({ pem: certificatePem });
    if (read.outcome === 'refused') throw new Error(read.detail);
    const { client, path } = await requested(read);
    const der = new X509Certificate(certificatePem).raw;

    const input = await inputOf(client, path, `?certificate=${der.toString('base64url')}`);

    expect(headerOf(input).x5c).toEqual([der.toString('base64')]);
    const key = createPrivateKey(keyPem);
    const signature = signBytes('ES256', key, Buffer.from(input.signingInput, 'base64'));
    const { protected: header } = input;
    const given = await client.call('POST', `${path}/signatures`, {
      transactionId: randomUUID(),
      protected: header,
      signature: signature.toString('base64'),
    });
    expect(given.status).toBe(201);
  });

  test.each([
    ['an algorithm of another key', '?algorithm=EdDSA', 'SIGNATURE_ALGORITHM_NOT_ALLOWED'],
    ['an algorithm that nobody has', '?algorithm=none', 'PARAMETER_INVALID'],
    ['a part of a second', '?issuedAt=2026-11-22T10:00:00.500Z', 'PARAMETER_INVALID'],
    ['a time before 1970', '?issuedAt=1969-11-22T10:00:00.000Z', 'SIGNATURE_MALFORMED'],
    ['five certificates', `?certificate=${Array(5).fill('AAAA')}`, 'PARAMETER_INVALID'],
    ['a certificate in base64', '?certificate=AA%2B%2F', 'PARAMETER_INVALID'],
    ['what is no certificate', '?certificate=AAAA', 'SIGNATURE_CERTIFICATE_MALFORMED'],
  ])('is refused for %s', async (_name, query, code) => {
    const { client, path } = await requested();

    const { status, body } = await client.call('GET', `${path}/signing-input${query}`);

    expect([status, body.code]).toEqual([400, code]);
  });

  test('is refused for a certificate of another key', async () => {
    const { cluster, client, path } = await requested();
    const { raw } = new X509Certificate(testApplication(cluster.authority).certificatePem);
    const query = `?certificate=${raw.toString('base64url')}`;

    const { status, body } = await client.call('GET', `${path}/signing-input${query}`);

    expect([status, body.code]).toEqual([400, 'SIGNATURE_KEY_DIFFERS']);
  });
});

describe('giving a signature', () => {
  async function given(signer = testSigner('ES256')) {
    const world = await requested(signer);
    const input = await inputOf(world.client, world.path);
    const { protected: header } = input;
    const signature = signed(signer, input).toString('base64');
    const body = { transactionId: randomUUID(), protected: header, signature };
    return { ...world, signer, input, body, address: `${world.path}/signatures` };
  }

  test('again with the same transaction id gives the first result', async () => {
    const { client, address, body } = await given();

    const first = await client.call('POST', address, body);
    const again = await client.call('POST', address, body);

    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
  });

  test('with the transaction id of another signature is refused', async () => {
    const { client, address, body, signer, input } = await given();
    await client.call('POST', address, body);

    const other = signed(signer, input).toString('base64');
    const answer = await client.call('POST', address, { ...body, signature: other });

    expect([answer.status, answer.body.code]).toEqual([409, 'TRANSACTION_ID_REUSED']);
  });

  test('twice with two transaction ids is refused, and the input is no longer served', async () => {
    const { client, address, path, body } = await given();
    await client.call('POST', address, body);

    const second = await client.call('POST', address, { ...body, transactionId: randomUUID() });
    const input = await client.call('GET', `${path}/signing-input`);

    expect([second.status, second.body.code]).toEqual([409, 'REQUEST_ALREADY_SIGNED']);
    expect([input.status, input.body.code]).toEqual([409, 'REQUEST_ALREADY_SIGNED']);
  });

  test('at a mirror is answered 421 with the lead', async () => {
    const { cluster, client, architect, address, body } = await given();
    await cluster.settle();

    const answer = await architect.call('POST', address, body);

    expect([answer.status, answer.body.code]).toEqual([421, 'NOT_THE_LEAD']);
    expect(answer.body.lead).toBe(client.id);
  });

  test('is not for auditors', async () => {
    const { client, address, body } = await given();
    const pem = client.auditor.certificatePem;

    const answer = await client.callRaw('POST', address, encodeCanonical(body), pem);

    expect([answer.status, answer.body.code]).toEqual([403, 'ROLE_NOT_ALLOWED']);
  });

  const changed = (changes: object) => (body: object) => ({ ...body, ...changes });
  const header = (members: object) => Buffer.from(JSON.stringify(members)).toString('base64url');

  test.each([
    ['a signature of another key', 'SIGNATURE_WRONG', changed({ signature: foreign() })],
    ['too few bytes', 'SIGNATURE_DER_MALFORMED', changed({ signature: 'AAAA' })],
    [
      'another algorithm in the header',
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
      changed({ protected: header({ alg: 'HS256' }) }),
    ],
    ['a header that is no JSON', 'SIGNATURE_ALGORITHM_NOT_ALLOWED', changed({ protected: 'AAAA' })],
    [
      'a header that is null',
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
      changed({ protected: Buffer.from('null').toString('base64url') }),
    ],
    [
      'a header with nothing but the algorithm',
      'SIGNATURE_CRIT_UNKNOWN',
      changed({ protected: header({ alg: 'ES256' }) }),
    ],
    ['line breaks', 'SCHEMA_VIOLATION', changed({ signature: 'AAAA\nAAAA' })],
    ['no signature', 'SCHEMA_VIOLATION', changed({ signature: '' })],
    ['an unknown member', 'UNKNOWN_MEMBER', changed({ colour: 'red' })],
    ['a transaction id that is none', 'SCHEMA_VIOLATION', changed({ transactionId: 'x' })],
  ])('with %s is refused, and nothing is recorded', async (_name, code, change) => {
    const { client, registryId, address, body } = await given();

    const answer = await client.call('POST', address, change(body));

    expect([answer.status, answer.body.code]).toEqual([400, code]);
    expect((await client.head(registryId))?.sequence).toBe(3);
  });
});

/** A good signature by nobody who was asked. */
function foreign(): string {
  const { algorithm, key } = testSigner('ES256');
  return signBytes(algorithm, key, Buffer.from('something')).toString('base64');
}

test('a key that people may not sign with is refused when it is requested', async () => {
  const { client, registryId } = await requested();
  const key = createPublicKey(testApplication(new MemoryCluster().authority).certificatePem);
  const { x = '' } = key.export({ format: 'jwk' });
  const draft = {
    type: 'request-signature' as const,
    transactionId: randomUUID(),
    requestId: randomUUID(),
    documentId: 'plan-1',
    version: 1,
    purpose: 'approval',
    publicKey: { crv: 'P-256', kty: 'EC', x, y: x },
  };

  const answer = await client.append(registryId, draft, { salt, signer: 'Dr. Weiß' });

  expect([answer.status, answer.body.code]).toEqual([400, 'KEY_NOT_ALLOWED']);
});
