/** The frozen vectors: what was valid once is valid for ever, and comes out to the same digests. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type * as z from 'zod';
import { encodeCanonical, parseCanonical } from '../../shared/ledger/canonical.ts';
import { certificateIdOfJwk, certificateIdOfSpki } from '../../shared/ledger/certificate.ts';
import { checkpointSchema, headSchema } from '../../shared/ledger/checkpoint.ts';
import { confirmationSchema } from '../../shared/ledger/confirmation.ts';
import {
  type ConflictStatement,
  conflictIdOf,
  conflictSchema,
} from '../../shared/ledger/conflict.ts';
import { type PublicKeyJwk, readStatement, type Statement } from '../../shared/ledger/jws.ts';
import {
  acceptanceSchema,
  closingSchema,
  redactionSchema,
  resolutionSchema,
  setAsideSchema,
} from '../../shared/ledger/resolution.ts';
import { checkDetails, readTransaction } from '../../shared/ledger/transaction.ts';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';

function vector(name: string): string {
  return readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8');
}

/** Not computed by the code under test. */
function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

interface KeyVector {
  readonly publicKey: PublicKeyJwk;
  readonly subjectPublicKeyInfo: string;
  readonly certificateId: string;
}

interface TransactionVector {
  readonly type: string;
  readonly transaction: string;
  readonly digest: string;
  readonly details?: string;
  readonly detailsDigest?: string;
}

interface StatementVector {
  readonly kind: string;
  readonly compact: string;
  readonly payload: string;
  readonly digest: string;
  readonly signer: string;
  readonly conflictId?: string;
}

const keys: readonly KeyVector[] = JSON.parse(vector('keys.json'));
const transactions: readonly TransactionVector[] = JSON.parse(vector('transactions.json'));
const statements: readonly StatementVector[] = JSON.parse(vector('statements.json'));

test.each(keys)('the key of $certificateId has that certificate id', (key) => {
  const spki = Buffer.from(key.subjectPublicKeyInfo, 'base64');

  expect(certificateIdOfJwk(key.publicKey)).toBe(key.certificateId);
  expect(certificateIdOfSpki(spki)).toBe(key.certificateId);
  expect(createHash('sha256').update(spki).digest('hex')).toBe(key.certificateId);
});

describe.each(transactions)('the transaction $digest, $type', (frozen) => {
  const bytes = Buffer.from(frozen.transaction);
  const read = readTransaction(bytes);

  test('is read, and has its digest', () => {
    expect(read).toMatchObject({ outcome: 'read', digest: frozen.digest });
    expect(sha256(frozen.transaction)).toBe(frozen.digest);
  });

  test('is the encoding of its value', () => {
    expect(encodeCanonical(JSON.parse(frozen.transaction))).toEqual(bytes);
  });

  test('fits its details', () => {
    const details = frozen.details === undefined ? undefined : Buffer.from(frozen.details);

    expect(read.outcome === 'read' && checkDetails(read, details)).toMatchObject({
      outcome: 'fits',
    });
    if (frozen.details !== undefined) expect(sha256(frozen.details)).toBe(frozen.detailsDigest);
  });
});

const schemas: Readonly<Record<string, z.ZodType<Statement>>> = {
  checkpoint: checkpointSchema,
  confirmation: confirmationSchema,
  head: headSchema,
  conflict: conflictSchema,
  resolution: resolutionSchema,
  acceptance: acceptanceSchema,
  'set-aside': setAsideSchema,
  redaction: redactionSchema,
  closing: closingSchema,
};

describe('frozen statements', () => {
  test('are of every kind', () => {
    expect(statements.map(({ kind }) => kind)).toEqual(Object.keys(schemas));
  });

  test.each(statements)('$kind is read, verifies, and has its digest', (frozen) => {
    const read = readStatement(frozen.compact, schemas[frozen.kind] as z.ZodType<Statement>);

    expect(read).toEqual({
      outcome: 'read',
      statement: JSON.parse(frozen.payload),
      digest: frozen.digest,
      compact: frozen.compact,
    });
    expect(sha256(frozen.payload)).toBe(frozen.digest);
    expect(JSON.parse(frozen.payload).signer).toBe(frozen.signer);
  });

  test('name the conflict by its id', () => {
    const conflict = statements.find(({ kind }) => kind === 'conflict');
    const statement: ConflictStatement = JSON.parse(conflict?.payload ?? '');

    expect(conflictIdOf(statement)).toBe(conflict?.conflictId);
  });
});

describe('the frozen ledger', () => {
  const { entryDigests, ...expected } = JSON.parse(vector('ledger.json'));
  const lines = vector('ledger.jsonl').trimEnd().split('\n');

  test.each([true, false])('verifies with rules: %s', (rules) => {
    const verifier = new LedgerVerifier({ rules, registryId: expected.registryId });
    for (const line of lines) expect(verifier.line(Buffer.from(line))).toBeUndefined();

    expect(verifier.end()).toMatchObject({ outcome: 'verified', ...expected });
  });

  test('has entries whose lines come out to their digests', () => {
    const entries = lines.filter((line) => line.includes('"format":"registry/entry/v1"'));

    expect(entries.map(sha256)).toEqual(entryDigests);
  });

  test('is canonical line by line', () => {
    for (const line of lines)
      expect(parseCanonical(Buffer.from(line), 65536)).toEqual({
        outcome: 'parsed',
        value: JSON.parse(line),
      });
  });
});
