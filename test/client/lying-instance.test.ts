import { beforeAll, describe, expect, test } from 'vitest';
import type { RegistryClient } from '../../shared/client/registry-client.ts';
import { testApplication, testAuthority } from '../certificate-authority.ts';
import { testSigner } from '../signing.ts';
import { all, clientOf, keepOpen, registry } from './clients.ts';
import { type Furnished, furnished } from './furnished.ts';
import { at, type Change, lie } from './lying.ts';

/** One for all tests: nothing is ever changed but answers. */
let held: Furnished;

beforeAll(async () => {
  held = await furnished();
  keepOpen();
});

type Read = (client: RegistryClient, held: Furnished) => Promise<unknown>;

/** Whether the read is refused while the answers to the path are changed, and done while not. */
async function expectFoundOut(path: string | RegExp, change: Change, read: Read): Promise<void> {
  await read(clientOf(held.atLead), held);
  const stop = lie(held.atLead, path, change);
  try {
    await expect(read(clientOf(held.atLead), held)).rejects.toMatchObject({
      code: 'ANSWER_NOT_PROVEN',
      retryable: false,
    });
  } finally {
    stop();
  }
}

const digest = 'ab'.repeat(32);
const longAgo = '2020-01-01T00:00:00.000Z';

describe('a receipt', () => {
  const entry: Read = (client, { registryId }) => client.entry(registryId, 2);

  test.each([
    ['another document', at('transaction.documentId', 'Z')],
    ['another name', at('details.name', 'Plan Z')],
    ['no details', at('details', undefined)],
    ['another time', at('entry.timestamp', longAgo)],
    ['another lead', at('entry.lead', digest)],
    ['fewer confirmations than ways', at('confirmations', [])],
    ['no checkpoint', at('checkpoint', 'a.b.c')],
    ['members that no receipt has', at('honest', true)],
    ['nothing', () => ({})],
  ])('with %s', async (_what, change) => {
    await expectFoundOut('/entries/2/receipt', change, entry);
  });

  test('of another entry', async () => {
    const { registryId, atLead } = held;
    const { bytes, receipt } = await clientOf(atLead).entry(registryId, 3);
    const other = JSON.parse(bytes.toString('utf8'));

    await expectFoundOut(/\/receipt$/, () => other, entry);
    await expectFoundOut(
      /\/receipt$/,
      () => other,
      async (client) => {
        const { transaction } = (await clientOf(atLead).unverified.entry(registryId, 2)) as {
          readonly transaction: { readonly transactionId: string };
        };
        expect(receipt.transaction.transactionId).not.toBe(transaction.transactionId);
        return client.entry(registryId, transaction.transactionId);
      },
    );
  });

  test('of another registry', async () => {
    const client = clientOf(held.atLead);
    const other = await client.createRegistry({ name: 'other', peers: [held.lead.id] });
    const { bytes } = await client.entry(other.registryId, 1);

    await expectFoundOut('/entries/2/receipt', () => JSON.parse(bytes.toString('utf8')), entry);
  });
});

describe('a version', () => {
  const reads: readonly [string, RegExp, string, Read][] = [
    [
      'that was asked for',
      /\/versions\/1$/,
      '',
      (client, { registryId }) => client.version(registryId, 'B', 1),
    ],
    [
      'in a list of versions',
      /\/versions$/,
      'versions.0.',
      (client, { registryId }) => all(client.versions(registryId, 'B')),
    ],
    [
      'as the newest of a document',
      /\/documents\/B$/,
      '',
      (client, { registryId }) => client.document(registryId, 'B'),
    ],
    [
      'in a list of documents',
      /\/documents$/,
      'documents.1.',
      (client, { registryId }) => all(client.documents(registryId)),
    ],
    [
      'as the place of a file',
      /\/contents\//,
      'versions.0.',
      async (client, { registryId }) => {
        const { receipt } = await client.entry(registryId, 4);
        const { contentDigest } = receipt.transaction as { readonly contentDigest: string };
        return all(client.contents(contentDigest));
      },
    ],
  ];
  const changes: readonly [string, string, unknown][] = [
    ['another digest', 'contentDigest', digest],
    ['another size', 'size', 2],
    ['another media type', 'mediaType', 'application/pdf'],
    ['another name', 'name', 'Plan Z'],
    ['no name', 'name', undefined],
    ['a note', 'note', 'Los 9'],
    ['a redaction', 'redacted', true],
    ['another time', 'recordedAt', longAgo],
    ['another document', 'documentId', 'Z'],
    ['another number', 'version', 7],
    ['the first entry', 'entry.sequence', 1],
    ['another entry', 'entry.sequence', 3],
    ['another digest of its entry', 'entry.digest', digest],
  ];
  const cases = reads.flatMap(([where, path, row, read]) =>
    changes.map(
      ([how, place, value]) =>
        [`${where} with ${how}`, path, at(row + place, value), read] as const,
    ),
  );

  test.each(cases)('%s', async (_what, path, change, read) => {
    await expectFoundOut(path, change, read);
  });
});

describe('a signing request', () => {
  const one: Read = (client, { registryId, requestId }) =>
    client.signingRequest(registryId, requestId);
  const list: Read = (client, { registryId }) => all(client.signingRequests(registryId));
  const open: Read = (client, { registryId, openId }) => client.signingRequest(registryId, openId);

  test.each([
    ['another id', 'requestId', '00000000-0000-4000-8000-000000000000'],
    ['another document', 'documentId', 'B'],
    ['another version', 'version', 2],
    ['another digest to sign', 'contentDigest', digest],
    ['another purpose', 'purpose', 'receipt'],
    ['another key', 'publicKey', testSigner('ES256').publicKey],
    ['a key of another kind', 'publicKey', testSigner('EdDSA').publicKey],
    ['another signer', 'signer', 'Somebody else'],
    ['another due date', 'dueAt', longAgo],
    ['no due date', 'dueAt', undefined],
    ['another entry', 'requestedBy.sequence', 4],
    ['the first entry', 'requestedBy.sequence', 1],
    ['another time', 'requestedAt', longAgo],
    ['a signature by another entry', 'signature.signedBy.sequence', 5],
    ['another time of signing', 'signature.signedAt', longAgo],
    ['another claimed time', 'signature.claimedAt', longAgo],
    ['another algorithm', 'signature.algorithm', 'RS256'],
    ['a legacy signature', 'signature.legacy', true],
    ['the status open', 'status', 'open'],
    ['no signature', 'signature', undefined],
  ])('with %s', async (_what, place, value) => {
    await expectFoundOut(/\/signature-requests\/[^/]+$/, at(place, value), one);
    const inList = at(`signatureRequests.0.${place}`, value);
    await expectFoundOut(/\/signature-requests$/, inList, list);
  });

  test('that is open, shown with the signature of another', async () => {
    const { registryId, requestId, atLead } = held;
    const { signature } = await clientOf(atLead).unverified.signingRequest(registryId, requestId);

    const signed = (body: object) => ({ ...body, status: 'signed', signature });

    await expectFoundOut(/\/signature-requests\/[^/]+$/, signed, open);
  });
});

describe('a page of entries', () => {
  const entries: Read = (client, { registryId }) => all(client.entries(registryId));

  test.each([
    ['another transaction', at('entries.3.transaction.documentId', 'Z')],
    ['another name', at('entries.3.details.name', 'Plan Z')],
    ['another digest', at('entries.3.digest', digest)],
    ['another time', at('entries.3.entry.timestamp', longAgo)],
    ['another last entry', at('entries.6.entry.lead', digest)],
    ['another link', at('entries.4.entry.backlinks.0.digest', digest)],
    ['another sequence', at('entries.4.sequence', 9)],
    ['no entry', at('entries.0.entry', { format: 'registry/entry/v1' })],
    ['no transaction', at('entries.0.transaction', {})],
    ['what nobody can have hashed', at('entries.0.transaction', { a: 1.5 })],
    ['a redaction beside details', at('entries.3.redaction', { statement: 'a', decision: 'b' })],
    ['an entry left out', ({ entries: rows }) => ({ entries: rows.toSpliced(2, 1) })],
    ['an entry twice', ({ entries: rows }) => ({ entries: rows.toSpliced(2, 0, rows[2]) })],
    ['another order', ({ entries: rows }) => ({ entries: rows.toReversed() })],
  ] as readonly [string, Change][])('with %s', async (_what, change) => {
    await expectFoundOut('/entries', change, entries);
  });

  test('with a redaction that nobody signed', async () => {
    await expectFoundOut(
      '/entries',
      (body) => {
        at('entries.3.details', undefined)(body);
        at('entries.3.redaction', { statement: 'a.b.c', decision: 'a.b.c' })(body);
      },
      entries,
    );
  });

  test('of another registry, sound in itself', async () => {
    const client = clientOf(held.atLead);
    const other = await client.createRegistry({ name: 'other', peers: [held.lead.id] });
    const page = await client.unverified.call('GET', `/v1/registries/${other.registryId}/entries`);

    await expectFoundOut(`${held.registryId}/entries`, () => page, entries);
  });
});

describe('a registry', () => {
  const one: Read = (client, { registryId }) => client.registry(registryId);
  const list: Read = (client) => all(client.registries());

  test.each([
    ['another name', 'name', 'Umbau Rathaus'],
    ['a description', 'description', 'Los 2'],
    ['another digest of its head', 'head.digest', digest],
    ['the sequence of an older head', 'head.sequence', 3],
    ['another time of its head', 'head.timestamp', longAgo],
  ])('with %s', async (_what, place, value) => {
    const { registryId } = held;
    await expectFoundOut(registryId, at(place, value), one);
    await expectFoundOut(
      '/v1/registries',
      ({ registries: rows }) => {
        for (const row of rows) if (row.registryId === registryId) at(place, value)(row);
      },
      list,
    );
  });

  test('in place of another', async () => {
    const client = clientOf(held.atLead);
    const other = await client.createRegistry({ name: 'other', peers: [held.lead.id] });
    const answer = await client.unverified.call('GET', `/v1/registries/${other.registryId}`);

    await expectFoundOut(held.registryId, () => answer, one);
  });
});

describe('a checkpoint', () => {
  const checkpoints: Read = (client, { registryId }) => all(client.checkpoints(registryId));

  test.each([
    ['another digest', at('checkpoints.1.digest', digest)],
    ['another sequence', at('checkpoints.1.sequence', 6)],
    ['another time', at('checkpoints.1.issuedAt', longAgo)],
    ['another signer', at('checkpoints.1.signer', digest)],
    [
      'the statement of another',
      (body) => at('checkpoints.1.statement', body.checkpoints[2].statement)(body),
    ],
    ['no statement', at('checkpoints.1.statement', 'a.b.c')],
  ] as readonly [string, Change][])('with %s', async (_what, change) => {
    await expectFoundOut('/checkpoints', change, checkpoints);
  });

  test('of another registry', async () => {
    const client = clientOf(held.atLead);
    const other = await client.createRegistry({ name: 'other', peers: [held.lead.id] });
    const path = `/v1/registries/${other.registryId}/checkpoints`;
    const page = await client.unverified.call('GET', path);

    await expectFoundOut(`${held.registryId}/checkpoints`, () => page, checkpoints);
  });

  test('that a mirror signed', async () => {
    const { mirror, registryId } = held;
    const { sign, certificateId } = mirror.ports.signer;
    await expectFoundOut(
      '/checkpoints',
      (body) => {
        const [row] = body.checkpoints;
        const { sequence, issuedAt } = row;
        const format = 'registry/checkpoint/v1' as const;
        const said = { format, copy: 1, registryId, sequence, digest: row.digest, issuedAt };
        row.signer = certificateId;
        row.statement = sign.call(mirror.ports.signer, { ...said, signer: certificateId } as never);
      },
      checkpoints,
    );
  });
});

describe('confirmations', () => {
  test('of another entry than the one of the receipt', async () => {
    await expectFoundOut(
      '/confirmations',
      at('entries.1.digest', digest),
      (client, { registryId }) => all(client.confirmations(registryId)),
    );
  });

  test('that no mirror has signed', async () => {
    const { lead, mirror, atLead } = await registry();
    mirror.up = false;
    const client = clientOf(atLead);
    const { registryId } = await client.createRegistry({ name: 'N', peers: [lead.id, mirror.id] });
    const confirmed = { sequence: 1, confirmedAt: longAgo, receivedAt: longAgo };
    lie(atLead, '/confirmations', at('entries.0.cells.1.confirmed', confirmed));

    const read = all(client.confirmations(registryId));

    await expect(read).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
    await expect(read).rejects.toThrow(mirror.id);
  });
});

describe('the certificate of an instance', () => {
  const own: Read = (client) => client.instance();
  const other: Read = (client, { mirror }) => client.certificate(mirror.id);

  test.each([
    ['that is another instance', () => held.mirror.certificate.certificatePem],
    ['that is an application', () => held.lead.application.certificatePem],
    ['of another cluster', () => testApplication(testAuthority()).certificatePem],
    ['that is none', () => 'certificate'],
  ])('%s', async (_what, certificatePem) => {
    const change = (body: object) => at('certificatePem', certificatePem())(body);

    await expectFoundOut('/v1/instance', change, own);
  });

  test('that was asked for, and is that of another', async () => {
    const change = (body: object) =>
      at('certificatePem', held.lead.certificate.certificatePem)(body);

    await expectFoundOut(/\/certificates\//, change, other);
  });
});

describe('what is answered to an append', () => {
  test.each([
    ['another digest', at('entries.0.digest', digest)],
    ['another entry', at('entries.0.entry.timestamp', longAgo)],
    ['another sequence', at('entries.0.sequence', 3)],
    ['what is no entry', at('entries.0.entry', {})],
    ['no entries', at('entries', [])],
    ['no checkpoint', at('checkpoint', 'a.b.c')],
  ])('with %s', async (_what, change) => {
    const { client, registryId, lead, atLead } = await registry();
    lie(atLead, '/transactions', change);

    const call = client.reconfigurePeers(registryId, [lead.id]);

    await expect(call).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });

  test('with entries of another append, or a checkpoint that does not reach them', async () => {
    const { client, registryId, lead, mirror, atLead } = await registry();
    const { unverified } = client;
    const first = await client.reconfigurePeers(registryId, [lead.id]);
    const path = `/v1/registries/${registryId}/transactions/${first.transactionId}`;
    const answer = (await unverified.call('GET', path)) as { readonly checkpoint: string };

    const stop = lie(atLead, '/transactions', () => answer);
    const replayed = client.reconfigurePeers(registryId, [lead.id, mirror.id]);
    await expect(replayed).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
    stop();
    lie(atLead, '/transactions', at('checkpoint', answer.checkpoint));
    const unreached = client.reconfigurePeers(registryId, [lead.id]);
    await expect(unreached).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });

  test('to the creation of a registry, with another one', async () => {
    const { client, lead, atLead } = await registry();
    const first = await client.createRegistry({ name: 'first', peers: [lead.id] });
    const path = `/v1/registries/${first.registryId}/transactions/${first.transactionId}`;
    const answer = await client.unverified.call('GET', path);
    lie(atLead, '/v1/registries', () => answer);

    const call = client.createRegistry({ name: 'second', peers: [lead.id] });

    await expect(call).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });

  test('to an introduction, with another instance', async () => {
    const { client, mirror, atLead } = await registry();
    lie(atLead, '/v1/certificates', at('certificateId', digest));

    const call = client.introduceInstance(mirror.certificate.certificatePem);

    await expect(call).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });
});
