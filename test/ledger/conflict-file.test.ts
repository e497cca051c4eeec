import { describe, expect, test } from 'vitest';
import {
  type ConflictFileParts,
  conflictFileBytesMax,
  encodeConflictFile,
  parseConflictFile,
} from '../../shared/ledger/conflict-file.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { encodeEvidence } from '../../shared/ledger/evidence.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { timeAfter } from '../builders.ts';

const registryId = digestOf('registry');
const evidence = encodeEvidence({
  format: 'registry/evidence/v1',
  kind: 'local-tampering',
  registryId,
  sequence: 2,
  detail: 'a\u0308\u0000\n',
});
const parts: ConflictFileParts = {
  registryId,
  conflict: 'a.b.c' as Compact,
  reports: ['d.e.f' as Compact],
  evidence: [evidence],
  decisions: [
    { kind: 'closing', statement: 'g.h.i' as Compact },
    { kind: 'resolution', statement: 'j.k.l' as Compact, decision: 'm.n.o' as Compact },
  ],
  configurations: [{ checkpoint: 'p.q.r', entries: [{ entry: '{}', transaction: '{}' }] }],
  certificates: ['-----BEGIN CERTIFICATE-----'],
  exportedAt: timeAfter(0),
};

function codeOf(bytes: Uint8Array | string): string {
  const parsed = parseConflictFile(Buffer.from(bytes));
  return parsed.outcome === 'refused' ? parsed.code : parsed.outcome;
}

describe('a file about a conflict', () => {
  test('is read as it was written, with its evidence by digest', () => {
    expect(parseConflictFile(encodeConflictFile(parts))).toEqual({
      outcome: 'parsed',
      file: {
        ...parts,
        format: 'registry/conflict-file/v1',
        evidence: { [digestOf(evidence)]: evidence.toString() },
      },
    });
  });

  test('is one canonical object of this format', () => {
    const text = encodeConflictFile(parts).toString();

    expect(codeOf(` ${text}`)).toBe('NOT_CANONICAL');
    expect(codeOf(text.replace('conflict-file/v1', 'conflict-file/v2'))).toBe('UNKNOWN_FORMAT');
    expect(codeOf(text.replace('"g.h.i"', '7'))).toBe('SCHEMA_VIOLATION');
    expect(codeOf(text.replace(digestOf(evidence), 'x'))).toBe('SCHEMA_VIOLATION');
  });

  test('has at most 16 MiB', () => {
    expect(conflictFileBytesMax).toBe(16 * 1024 * 1024);
    expect(codeOf(Buffer.alloc(conflictFileBytesMax + 1, 0x20))).toBe('TOO_LARGE');
  });
});
