import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { type CertificateId, digestOf } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';
import {
  checkDetails,
  encodeTransaction,
  readTransaction,
} from '../../shared/ledger/transaction.ts';
import { readTestTransaction, SALT, testUuid, uploadDocument } from '../builders.ts';

const D1 = digestOf('one');
const D2 = digestOf('two');
const peer = (n: number) => digestOf(`peer ${n}`) as string as CertificateId;

const common = { format: 'registry/transaction/v1', transactionId: testUuid(1) };
const create = { ...common, type: 'create-registry', detailsDigest: D1, peers: [peer(1), peer(2)] };
const reconfigure = { ...common, type: 'reconfigure-peers', peers: [peer(2)] };
const upload = {
  ...common,
  type: 'upload-document' as const,
  contentDigest: D1,
  detailsDigest: D2,
  documentId: 'plan-1',
  mediaType: 'application/pdf',
  size: 0,
  version: 1,
};
const publicKey = { crv: 'P-256', kty: 'EC', x: 'AQID', y: 'BAUG' };
const request = {
  ...common,
  type: 'request-signature',
  detailsDigest: D1,
  documentId: 'plan-1',
  publicKey,
  purpose: 'approval',
  requestId: testUuid(2),
  version: 3,
};
const sign = {
  ...common,
  type: 'sign-document',
  requestId: testUuid(2),
  signature: { protected: 'AQID', signature: 'BAUG' },
};

function outcomeOf(value: unknown): string {
  const read = readTransaction(encodeCanonical(value));
  return read.outcome === 'refused' ? read.code : 'read';
}

function without(value: Record<string, unknown>, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([each]) => each !== name));
}

const kinds = { create, reconfigure, upload, request, sign };

describe.each(Object.entries(kinds))('a transaction of the kind %s', (_kind, valid) => {
  test('is read as it is, with its digest', () => {
    const bytes = encodeCanonical(valid);

    expect(readTransaction(bytes)).toEqual({
      outcome: 'read',
      transaction: valid,
      bytes,
      digest: digestOf(bytes),
    });
  });

  test('is refused with a member that the format does not have', () => {
    expect(outcomeOf({ ...valid, extra: 1 })).toBe('UNKNOWN_MEMBER');
  });

  test('is refused without any one of its members', () => {
    const codes = Object.keys(valid).map((name) => outcomeOf(without(valid, name)));

    expect(new Set(codes)).toEqual(new Set(['SCHEMA_VIOLATION', 'UNKNOWN_FORMAT']));
  });

  test('is refused with null for any one of its members', () => {
    const codes = Object.keys(valid).map((name) => outcomeOf({ ...valid, [name]: null }));

    expect(new Set(codes)).toEqual(new Set(['SCHEMA_VIOLATION', 'UNKNOWN_FORMAT']));
  });

  test('is refused in a later version of its format', () => {
    expect(outcomeOf({ ...valid, format: 'registry/transaction/v2' })).toBe('UNKNOWN_FORMAT');
  });
});

describe('members of transactions', () => {
  test.each([
    ['a predecessor', { ...create, predecessor: { digest: D1, registryId: D2, sequence: 9 } }],
    ['32 peers', { ...create, peers: Array.from({ length: 32 }, (_, n) => peer(n)) }],
    ['supersedes', { ...upload, supersedes: { digest: D1, sequence: 3 } }],
    ['a media type with parameters', { ...upload, mediaType: 'text/plain; charset="utf-8"' }],
    ['the largest document', { ...upload, size: limits.documentBytesMax }],
    ['a document id of 128 characters', { ...upload, documentId: 'a'.repeat(128) }],
    ['a document id with every kind of character', { ...upload, documentId: '0A.b_c:d-e' }],
    ['a due date', { ...request, dueAt: '2028-02-29T23:59:59.999Z' }],
    ['an Ed25519 key', { ...request, publicKey: { crv: 'Ed25519', kty: 'OKP', x: 'AQID' } }],
    ['an RSA key', { ...request, publicKey: { e: 'AQAB', kty: 'RSA', n: 'AQID' } }],
  ])('%s is accepted', (_rule, value) => {
    expect(outcomeOf(value)).toBe('read');
  });

  test.each([
    ['no peers', { ...create, peers: [] }],
    ['33 peers', { ...create, peers: Array.from({ length: 33 }, (_, n) => peer(n)) }],
    ['a peer twice', { ...reconfigure, peers: [peer(1), peer(2), peer(1)] }],
    ['a peer in upper case', { ...reconfigure, peers: [peer(1).toUpperCase()] }],
    ['a digest of 63 digits', { ...upload, contentDigest: D1.slice(1) }],
    ['a digest with a newline', { ...upload, contentDigest: `${D1}\n` }],
    ['a UUID in upper case', { ...upload, transactionId: testUuid(0xabc).toUpperCase() }],
    ['a UUID in braces', { ...upload, transactionId: `{${testUuid(1)}}` }],
    ['no document id', { ...upload, documentId: '' }],
    ['a document id of 129 characters', { ...upload, documentId: 'a'.repeat(129) }],
    ['a document id with a slash', { ...upload, documentId: 'a/b' }],
    ['a document id with the separator of keys', { ...upload, documentId: 'a#b' }],
    ['a document id that begins with a dot', { ...upload, documentId: '.a' }],
    ['a document id with a newline', { ...upload, documentId: 'a\n' }],
    ['a media type without subtype', { ...upload, mediaType: 'pdf' }],
    ['a media type with a newline', { ...upload, mediaType: 'text/plain\nx: y' }],
    ['a media type of 256 characters', { ...upload, mediaType: `text/${'a'.repeat(251)}` }],
    ['a negative size', { ...upload, size: -1 }],
    ['a size above 5 GiB', { ...upload, size: limits.documentBytesMax + 1 }],
    ['a size as text', { ...upload, size: '1' }],
    ['version 0', { ...upload, version: 0 }],
    ['a sequence of 0', { ...upload, supersedes: { digest: D1, sequence: 0 } }],
    ['create-registry with supersedes', { ...create, supersedes: { digest: D1, sequence: 1 } }],
    ['a type that nobody knows', { ...upload, type: 'delete-document' }],
    ['a purpose that nobody knows', { ...request, purpose: 'fun' }],
    ['a due date that does not exist', { ...request, dueAt: '2027-02-29T00:00:00.000Z' }],
    ['a due date without milliseconds', { ...request, dueAt: '2027-02-28T00:00:00Z' }],
    ['a due date in another zone', { ...request, dueAt: '2027-02-28T00:00:00.000+01:00' }],
    [
      'the key of a curve that is not admitted',
      { ...request, publicKey: { ...publicKey, crv: 'secp256k1' } },
    ],
    ['a private key', { ...request, publicKey: { ...publicKey, d: 'AQID' } }],
    [
      'an RSA key with another exponent',
      { ...request, publicKey: { e: 'Aw', kty: 'RSA', n: 'AQID' } },
    ],
    ['base64url with padding', { ...request, publicKey: { ...publicKey, x: 'AQ==' } }],
    ['base64url with bits left over', { ...request, publicKey: { ...publicKey, x: 'AB' } }],
    ['base64url of nothing', { ...request, publicKey: { ...publicKey, x: '' } }],
    ['an attached signature', { ...sign, signature: { ...sign.signature, payload: 'AQID' } }],
  ])('%s is refused', (_rule, value) => {
    expect(['SCHEMA_VIOLATION', 'UNKNOWN_MEMBER']).toContain(outcomeOf(value));
  });

  test('what is no transaction is refused by what it says it is', () => {
    expect(outcomeOf(null)).toBe('UNKNOWN_FORMAT');
    expect(outcomeOf([upload])).toBe('UNKNOWN_FORMAT');
    expect(outcomeOf({ ...upload, format: 7 })).toBe('UNKNOWN_FORMAT');
    expect(outcomeOf({ ...upload, format: 'registry/entry/v1' })).toBe('UNKNOWN_FORMAT');
  });

  test('a refusal names the member and what was expected', () => {
    const read = readTransaction(encodeCanonical({ ...upload, size: '1', version: 0 }));

    expect(read).toMatchObject({ detail: expect.stringMatching(/^size: .*; version: /) });
  });

  test('65 KiB are refused', () => {
    const bytes = encodeCanonical({ ...upload, documentId: 'a'.repeat(65 * 1024) });

    expect(readTransaction(bytes)).toMatchObject({ code: 'TOO_LARGE' });
  });

  test('64 KiB are looked at', () => {
    const bytes = encodeCanonical({ ...upload, documentId: 'a'.repeat(63 * 1024) });

    expect(readTransaction(bytes)).toMatchObject({ code: 'SCHEMA_VIOLATION' });
  });

  test('bytes that are not canonical are refused as such', () => {
    expect(readTransaction(Buffer.from(JSON.stringify(upload)))).toMatchObject({
      code: 'NOT_CANONICAL',
    });
  });
});

const salted = { salt: SALT };

function outcomeOfDetails(draft: object, details: object): string {
  const encoded = encodeTransaction(
    {
      ...without({ ...draft }, 'format'),
      type: 'upload-document',
      transactionId: testUuid(1),
      ...draft,
    },
    { ...salted, ...details },
  );
  const read = readTestTransaction(encoded);
  const fits = checkDetails(read, encoded.details);
  return fits.outcome === 'refused' ? fits.code : 'fits';
}

describe('details', () => {
  test.each([
    ['of create-registry', create, { name: 'Neubau', description: 'Los 1' }],
    ['of create-registry without description', create, { name: 'Neubau' }],
    ['of upload-document', upload, { name: 'Grundriß.pdf', note: 'überarbeitet' }],
    ['of upload-document in letters of other scripts', upload, { name: '平面図.pdf', note: '😀' }],
    ['of upload-document with what JSON escapes', upload, { name: 'a"b\\c', note: 'one\ntwo' }],
    ['of request-signature', request, { signer: 'Erika Mustermann', note: 'bitte' }],
    ['with a name of 256 characters', upload, { name: 'ß'.repeat(256) }],
    ['with a name of 256 characters of two units', upload, { name: '😀'.repeat(256) }],
    ['with a note of 4096 characters', upload, { name: 'n', note: 'n'.repeat(4096) }],
  ])('%s fit', (_rule, draft, details) => {
    expect(outcomeOfDetails(draft, details)).toBe('fits');
  });

  test.each([
    ['with a name of 257 characters', upload, { name: 'n'.repeat(257) }, 'SCHEMA_VIOLATION'],
    ['with a name of 300 characters', create, { name: 'ß'.repeat(300) }, 'SCHEMA_VIOLATION'],
    ['with a name of 600 characters', create, { name: 'ß'.repeat(600) }, 'SCHEMA_VIOLATION'],
    ['with an empty name', upload, { name: '' }, 'SCHEMA_VIOLATION'],
    ['without a name', upload, { note: 'n' }, 'SCHEMA_VIOLATION'],
    [
      'with a note of 4097 characters',
      upload,
      { name: 'n', note: 'n'.repeat(4097) },
      'SCHEMA_VIOLATION',
    ],
    ['with the members of another type', upload, { signer: 'E' }, 'UNKNOWN_MEMBER'],
    ['with a member that nobody knows', create, { name: 'n', extra: true }, 'UNKNOWN_MEMBER'],
    ['with a short salt', upload, { name: 'n', salt: '00' }, 'SCHEMA_VIOLATION'],
    [
      'in a later version of the format',
      upload,
      { name: 'n', format: 'registry/details/v2' },
      'SCHEMA_VIOLATION',
    ],
  ])('%s are refused', (_rule, draft, details, code) => {
    expect(outcomeOfDetails(draft, details)).toBe(code);
  });

  test('are refused where the type has none', () => {
    const read = readTestTransaction({ transaction: encodeCanonical(reconfigure) });

    expect(checkDetails(read, undefined)).toEqual({ outcome: 'fits' });
    expect(checkDetails(read, Buffer.from('{}'))).toMatchObject({ code: 'DETAILS_NOT_EXPECTED' });
  });

  test('are demanded where the type has some', () => {
    const read = readTestTransaction(uploadDocument());

    expect(checkDetails(read, undefined)).toMatchObject({ code: 'DETAILS_MISSING' });
  });

  test('are the very bytes that the transaction names', () => {
    const [one, two] = [uploadDocument(), uploadDocument()];
    const other = encodeCanonical({ ...salted, format: 'registry/details/v1', name: 'other' });

    expect(checkDetails(readTestTransaction(one), two.details)).toMatchObject({ outcome: 'fits' });
    expect(checkDetails(readTestTransaction(one), other)).toMatchObject({
      code: 'DETAILS_DIGEST_DIFFERS',
    });
  });

  test('are within 64 KiB together with their transaction', () => {
    const read = readTestTransaction(uploadDocument());
    const rest = limits.transactionBytesMax - read.bytes.length;

    expect(checkDetails(read, Buffer.alloc(rest + 1))).toMatchObject({ code: 'TOO_LARGE' });
    expect(checkDetails(read, Buffer.alloc(rest))).toMatchObject({ code: 'NOT_JSON' });
  });

  test('that are not UTF-8 are refused', () => {
    const { details = Buffer.alloc(0) } = uploadDocument();
    const latin1 = Buffer.from(details.toString(), 'latin1');

    const fits = checkDetails(readTestTransaction(uploadDocument()), latin1);
    expect(fits).toMatchObject({ code: 'NOT_UTF8', detail: expect.stringMatching(/^details: /) });
  });
});

const letters = fc.string({
  unit: fc.constantFrom(...'aZ 09äßÿ˿\u007f\u0085"\\/\n😀平̈'),
  maxLength: 20,
});

describe('laws of transactions', () => {
  test('what was encoded is read back as it was, whatever the members', () => {
    const drafts = fc.record({
      documentId: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,9}$/),
      mediaType: fc.stringMatching(/^[A-Za-z0-9][\w.+-]{0,5}\/[a-z]{1,5}(; ?q=[!-~]{1,3})?$/),
      size: fc.oneof(fc.nat(), fc.constantFrom(limits.documentBytesMax, 0)),
      version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    });
    fc.assert(
      fc.property(drafts, (draft) => {
        const { transaction } = encodeTransaction({ ...upload, ...draft });
        expect(readTransaction(transaction)).toMatchObject({
          outcome: 'read',
          transaction: { ...upload, ...draft },
        });
      }),
    );
  });

  test('any text makes details that are read back as they were, or are refused', () => {
    fc.assert(
      fc.property(letters, letters, (name, note) => {
        fc.pre(name.normalize('NFC') === name && note.normalize('NFC') === note);
        const encoded = encodeTransaction(
          { ...upload, type: 'upload-document' },
          { ...salted, name, note },
        );
        const fits = checkDetails(readTestTransaction(encoded), encoded.details);
        const details = { format: 'registry/details/v1', ...salted, name, note };
        const isRight = name !== '' && note !== '';
        expect(fits).toMatchObject(
          isRight ? { outcome: 'fits', details } : { code: 'SCHEMA_VIOLATION' },
        );
      }),
      { numRuns: 300 },
    );
  });
});
