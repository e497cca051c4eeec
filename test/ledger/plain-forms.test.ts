import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCanonical } from '../../shared/ledger/canonical.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { plainUpload, plainUploadDetails } from '../../shared/ledger/plain-forms.ts';
import { checkDetails, readTransaction } from '../../shared/ledger/transaction.ts';
import { readTestTransaction, uploadDocument } from '../builders.ts';

/** Everything that the general reader would say, without the plain form being asked. */
function parsedOf(bytes: Uint8Array): unknown {
  const parsed = parseCanonical(bytes, limits.transactionBytesMax);
  return parsed.outcome === 'parsed' ? parsed.value : parsed.code;
}

/** Bytes of one text with a part exchanged for any of the fragments. */
function mutants(text: string): fc.Arbitrary<Buffer> {
  const fragments = fc.constantFrom(
    ...[
      '"',
      '\\',
      ' ',
      '0',
      '-',
      '.',
      '1e3',
      'ä',
      '\u0300',
      '\u02ff',
      '😀',
      '\n',
      '{',
      '}',
      ',',
      '',
    ],
    ...['"size":', '"version":0', '"supersedes":1,', '"note":"', '\u0000', '\u007f'],
  );
  return fc
    .tuple(fc.nat(text.length), fc.nat(3), fragments)
    .map(([at, removed, added]) =>
      Buffer.from(text.slice(0, at) + added + text.slice(at + removed)),
    );
}

describe('plain forms', () => {
  const { transaction, details = Buffer.alloc(0) } = uploadDocument();

  test('an ordinary upload and its details are recognised', () => {
    expect(plainUpload(transaction)).toEqual(parsedOf(transaction));
    expect(plainUploadDetails(details)).toEqual(parsedOf(details));
  });

  test('details without a note are recognised', () => {
    const short = Buffer.from(details.toString().replace('"note":"zur Freigabe",', ''));

    expect(plainUploadDetails(short)).toEqual(parsedOf(short));
  });

  test('a document that is too large is left to the general reader', () => {
    const size = `"size":${limits.documentBytesMax + 1}`;
    const large = Buffer.from(transaction.toString().replace(/"size":\d+/, size));

    expect(plainUpload(large)).toBeUndefined();
  });

  test('what is recognised is canonical, and the general reader reads the same', () => {
    fc.assert(
      fc.property(mutants(transaction.toString()), (bytes) => {
        const plain = plainUpload(bytes);
        if (plain !== undefined) expect(parsedOf(bytes)).toEqual(plain);
      }),
      { numRuns: 3000 },
    );
  });

  test('details that are recognised are canonical, and the general reader reads the same', () => {
    fc.assert(
      fc.property(mutants(details.toString()), (bytes) => {
        const plain = plainUploadDetails(bytes);
        if (plain !== undefined) expect(parsedOf(bytes)).toEqual(plain);
      }),
      { numRuns: 3000 },
    );
  });

  test('what is recognised fits its schema: with a member that no plain form has it still does', () => {
    fc.assert(
      fc.property(mutants(transaction.toString()), (bytes) => {
        const plain = plainUpload(bytes);
        fc.pre(plain !== undefined);
        // `supersedes` sends the same members through the schema.
        const supersedes = `"supersedes":{"digest":"${'0'.repeat(64)}","sequence":1},"transactionId"`;
        const general = Buffer.from(bytes.toString().replace('"transactionId"', supersedes));
        expect(readTransaction(general)).toMatchObject({ outcome: 'read', transaction: plain });
      }),
      { numRuns: 300 },
    );
  });

  test('details that are recognised fit their schema', () => {
    const names = fc.string({
      unit: fc.nat(0x2ff).map((code) => String.fromCharCode(code)),
      maxLength: limits.nameCharactersMax + 4,
    });
    fc.assert(
      fc.property(names, (name) => {
        const bytes = Buffer.from(
          `{"format":"registry/details/v1","name":${JSON.stringify(name)},"salt":"${'0'.repeat(32)}"}`,
        );
        const plain = plainUploadDetails(bytes);
        if (plain === undefined) return;
        expect(parsedOf(bytes)).toEqual(plain);
        expect([...name].length).toBeGreaterThanOrEqual(1);
        expect([...name].length).toBeLessThanOrEqual(limits.nameCharactersMax);
      }),
      { numRuns: 500 },
    );
  });

  test('bytes in the middle of a larger buffer are read alone', () => {
    const around = new Uint8Array([1, 2, ...transaction, 3]);

    expect(plainUpload(around.subarray(2, -1))).toEqual(parsedOf(transaction));
  });

  test('a transaction with plain details fits', () => {
    const upload = uploadDocument();

    expect(checkDetails(readTestTransaction(upload), upload.details)).toMatchObject({
      details: { name: 'Grundriß Erdgeschoß.pdf' },
    });
  });
});
