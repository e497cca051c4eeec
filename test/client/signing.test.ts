import { createPublicKey, randomUUID, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { PublicKeySource } from '../../shared/client/signing.ts';
import type { SignatureAlgorithm } from '../../shared/ledger/signature.ts';
import { issueTestCertificate, testAuthority } from '../certificate-authority.ts';
import { signBytes, type TestSigner, testSigner } from '../signing.ts';
import { all, clientOf, document, registry } from './clients.ts';
import { at, lie } from './lying.ts';

const algorithms: readonly SignatureAlgorithm[] = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'PS256',
  'RS256',
];

/** A registry with a document and a request to sign it. */
async function requested(signer: TestSigner = testSigner(), publicKey?: PublicKeySource) {
  const held = await registry();
  const { client, registryId } = held;
  await client.uploadDocument(registryId, document('STA-0001'));
  const { requestId, sequence } = await client.requestSignature(registryId, {
    documentId: 'STA-0001',
    version: 1,
    publicKey: publicKey ?? signer.publicKey,
    purpose: 'approval',
    signer: 'Prüfingenieurin Dr. Weiß',
    note: 'bis Baubeginn',
  });
  return { ...held, signer, requestId, sequence };
}

describe('a signature', () => {
  test.each(algorithms)('is made with a key of %s, recorded and confirmed', async (algorithm) => {
    const { client, registryId, requestId, signer } = await requested(testSigner(algorithm));

    const recorded = await client.signWithKey(registryId, requestId, signer.key, { algorithm });

    const { receipt } = await client.waitUntilConfirmed(registryId, recorded.sequence);
    expect(receipt).toMatchObject({
      transaction: { type: 'sign-document', requestId },
      status: { status: 'final' },
    });
    expect(await client.signingRequest(registryId, requestId)).toMatchObject({
      status: 'signed',
      note: 'bis Baubeginn',
      signature: { algorithm, legacy: algorithm === 'RS256' },
    });
  });

  test.each(
    algorithms,
  )('by another program with %s is given as that program wrote it', async (algorithm) => {
    const { client, registryId, requestId, signer } = await requested(testSigner(algorithm));
    const input = await client.signingInput(registryId, requestId, { algorithm });
    const signature = signBytes(algorithm, signer.key, input.bytes);

    await client.submitSignature(registryId, requestId, { protected: input.protected, signature });

    expect(await client.signingRequest(registryId, requestId)).toMatchObject({ status: 'signed' });
  });

  test('as a JWS has it is given as it is', async () => {
    const { client, registryId, requestId, signer } = await requested();
    const { contentDigest } = await client.signingRequest(registryId, requestId);
    const target = { documentId: 'STA-0001', version: 1, purpose: 'approval' } as const;
    const jws = signer.sign({ ...target, registryId: registryId as never, contentDigest });

    await client.submitSignature(registryId, requestId, jws);

    expect(await client.signingRequest(registryId, requestId)).toMatchObject({
      signature: { claimedAt: '2026-11-22T10:00:00.000Z' },
    });
  });

  test('carries the certificates that it was made with', async () => {
    const signer = testSigner('ES256');
    const key = { privateKey: signer.key, publicKey: createPublicKey(signer.key), pem: '' };
    const card = issueTestCertificate(testAuthority('Card CA'), { key, subject: 'Dr. Weiß' });
    const { client, registryId, requestId } = await requested(signer, card.certificatePem);

    await client.signWithKey(registryId, requestId, signer.key, { certificates: [card.der] });

    const { signature } = await client.signingRequest(registryId, requestId);
    const [certificate] = signature?.certificates ?? [];
    expect(new X509Certificate(certificate ?? '').subject).toBe('CN=Dr. Weiß');
  });

  test('made with PEM keys, at a time that the signer says', async () => {
    const signer = testSigner('ES384');
    const pem = createPublicKey(signer.key).export({ type: 'spki', format: 'pem' }).toString();
    const { client, registryId, requestId } = await requested(signer, pem);
    const key = signer.key.export({ type: 'pkcs8', format: 'pem' }).toString();

    const issuedAt = new Date('2026-11-22T09:00:00.700Z');
    await client.signWithKey(registryId, requestId, key, { issuedAt });

    expect(await client.signingRequest(registryId, requestId)).toMatchObject({
      signature: { claimedAt: '2026-11-22T09:00:00.000Z' },
    });
  });

  test('is recorded once, however often it is given with one transaction id', async () => {
    const { client, registryId, requestId, signer, atLead } = await requested();
    const transactionId = randomUUID();
    const first = await client.signWithKey(registryId, requestId, signer.key, { transactionId });

    const again = await clientOf(atLead).signWithKey(registryId, requestId, signer.key, {
      transactionId,
    });

    expect(again).toEqual(first);
    const other = client.signWithKey(registryId, requestId, signer.key);
    await expect(other).rejects.toMatchObject({ code: 'REQUEST_ALREADY_SIGNED' });
    expect(await all(client.entries(registryId))).toHaveLength(4);
  });
});

describe('a signature that would be refused is not sent', () => {
  async function refused(
    give: (given: Awaited<ReturnType<typeof requested>>) => Promise<unknown>,
    code: string,
  ): Promise<void> {
    const given = await requested(testSigner('ES256'));
    const posts = () => given.atLead.arrived.filter(({ method }) => method === 'POST').length;
    const before = posts();

    await expect(give(given)).rejects.toMatchObject({ code });

    expect(posts()).toBe(before);
  }

  test.each([
    ['of another key', () => testSigner('ES256').key, 'SIGNATURE_KEY_DIFFERS'],
    ['of a key of another kind', () => testSigner('EdDSA').key, 'SIGNATURE_KEY_DIFFERS'],
    ['of a public key', () => createPublicKey(testSigner('ES256').key), 'SIGNATURE_KEY_DIFFERS'],
    ['of what is no key', () => 'key', 'ARGUMENT_INVALID'],
  ])('%s', async (_what, key, code) => {
    await refused(
      ({ client, registryId, requestId }) => client.signWithKey(registryId, requestId, key()),
      code,
    );
  });

  test('with an algorithm that the key does not have', async () => {
    await refused(
      ({ client, registryId, requestId, signer }) =>
        client.signWithKey(registryId, requestId, signer.key, { algorithm: 'PS256' }),
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    );
  });

  test('over other bytes, of half its length, or under another header', async () => {
    const give =
      (change: (bytes: Buffer) => Buffer, header?: string) =>
      async ({ client, registryId, requestId, signer }: Awaited<ReturnType<typeof requested>>) => {
        const input = await client.signingInput(registryId, requestId);
        const signature = change(signBytes('ES256', signer.key, input.bytes));
        const given = { protected: header ?? input.protected, signature };
        return client.submitSignature(registryId, requestId, given);
      };

    await refused(
      give((bytes) => bytes.subarray(0, 32)),
      'SIGNATURE_DER_MALFORMED',
    );
    await refused(
      give((bytes) => bytes, 'bm90aGluZw'),
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    );
    const other = signBytes('ES256', testSigner('ES256').key, Buffer.from('other'));
    await refused(
      give(() => other),
      'SIGNATURE_WRONG',
    );
  });
});

test('the bytes to sign are those that the instance serves, and need no trust in it', async () => {
  const { client, registryId, requestId, atLead } = await requested();
  const path = `/v1/registries/${registryId}/signature-requests/${requestId}/signing-input`;
  const issuedAt = new Date('2026-11-22T10:00:00Z');
  const query = `?issuedAt=${encodeURIComponent(issuedAt.toISOString())}`;

  const served = await client.unverified.call('GET', path + query);
  const built = await client.signingInput(registryId, requestId, { issuedAt });

  expect(served).toMatchObject({
    digest: built.digest,
    protected: built.protected,
    objectUrn: built.objectUrn,
    signingInput: Buffer.from(built.bytes).toString('base64'),
  });
  expect(await client.unverified.signingInput(registryId, requestId)).toMatchObject({ requestId });
  lie(atLead, new RegExp(`${requestId}$`), at('contentDigest', 'ab'.repeat(32)));
  await expect(client.signingInput(registryId, requestId)).rejects.toMatchObject({
    code: 'ANSWER_NOT_PROVEN',
  });
});

test('nothing is served for signing what is signed', async () => {
  const { client, registryId, requestId, signer } = await requested();
  await client.signWithKey(registryId, requestId, signer.key);

  const call = client.signingInput(registryId, requestId);

  await expect(call).rejects.toMatchObject({ code: 'REQUEST_ALREADY_SIGNED' });
});

test('a request that is repeated with its ids and its salt is recorded once', async () => {
  const { client, registryId } = await requested();
  const asked = {
    documentId: 'STA-0001',
    version: 1,
    publicKey: testSigner().publicKey,
    purpose: 'origin',
    signer: 'N. N.',
    requestId: randomUUID(),
  } as const;
  const repeatable = { transactionId: randomUUID(), salt: '00'.repeat(16) };

  const first = await client.requestSignature(registryId, asked, repeatable);
  const again = await client.requestSignature(registryId, asked, repeatable);

  expect(again).toEqual(first);
});

test('a signature by a key that nobody may sign with is not asked for', async () => {
  const { client, registryId } = await requested();

  const call = client.requestSignature(registryId, {
    documentId: 'STA-0001',
    version: 1,
    publicKey: { kty: 'oct', k: 'AAAA' },
    purpose: 'approval',
    signer: 'N. N.',
  });

  await expect(call).rejects.toMatchObject({ code: 'KEY_NOT_ALLOWED' });
});
