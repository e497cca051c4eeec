import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../shared/ledger/digest.ts';
import { type Evidence, encodeEvidence, readEvidence } from '../../shared/ledger/evidence.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { testPeer, timeAfter } from '../builders.ts';

const common = {
  format: 'registry/evidence/v1',
  registryId: digestOf('registry'),
  sequence: 7,
} as const;
const commit = { checkpoint: 'a.b.c', entries: [{ entry: '{}', transaction: '{}' }] };
const recorded = { entry: '{"a":1}', transaction: '{"b":2}' };
const chain = { checkpoint: 'a.b.c', path: ['{}'] };
const head = { digest: digestOf('head'), sequence: 3 as never };

const kinds: readonly Evidence[] = [
  { ...common, kind: 'fork', chains: [chain, { ...chain, confirmation: 'd.e.f', path: [] }] },
  {
    ...common,
    kind: 'invalid-transaction',
    commit: {
      checkpoint: 'a.b.c',
      entries: [{ ...recorded, redaction: { decision: 'd', statement: 's' } }],
    },
    links: ['{}'],
    witnesses: [recorded],
  },
  { ...common, kind: 'digest-mismatch', deliveries: [commit, commit, commit] },
  {
    ...common,
    kind: 'document-mismatch',
    since: timeAfter(0),
    sources: [{ peer: testPeer().certificateId, found: 'not-held' }],
    upload: recorded,
  },
  { ...common, kind: 'lead-rollback', checkpoint: 'a.b.c', detail: 'zu alt', head },
  { ...common, kind: 'lead-rollback', detail: 'another table', head },
  { ...common, kind: 'local-tampering', detail: 'entry 7 is not what it was' },
  { ...common, kind: 'local-tampering', detail: 'Größe', storedBase64: ['AAEC'] },
];

function refusalOf(bytes: Uint8Array | string): string {
  const read = readEvidence(Buffer.from(bytes));
  return read.outcome === 'refused' ? `${read.code} ${read.detail}` : 'read';
}

function backwards(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(backwards);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, backwards(member)]);
  return Object.fromEntries(members.reverse());
}

describe('evidence', () => {
  test.each(kinds)('of the kind $kind is read as it was written', (evidence) => {
    expect(readEvidence(encodeEvidence(evidence))).toEqual({ outcome: 'read', evidence });
  });

  test.each(kinds)('of the kind $kind has the same bytes in whatever order it is given', (same) => {
    expect(encodeEvidence(backwards(same) as Evidence)).toEqual(encodeEvidence(same));
  });

  test('keeps the bytes of texts that nothing canonical may hold', () => {
    const units = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) });
    fc.assert(
      fc.property(units, units, (entry, transaction) => {
        const deliveries = [{ checkpoint: '', entries: [{ entry, transaction }] }];
        const evidence: Evidence = { ...common, kind: 'digest-mismatch', deliveries };
        const bytes = encodeEvidence(evidence);

        expect(readEvidence(bytes)).toEqual({ outcome: 'read', evidence });
        const text = bytes.toString();
        expect(text.normalize('NFC')).toBe(text);
      }),
    );
  });

  test('is not read beyond its limit', () => {
    const bytes = Buffer.alloc(limits.evidenceBytesMax + 1, 0x20);

    expect(refusalOf(bytes)).toBe(
      'EVIDENCE_MALFORMED the evidence has 4194305 bytes; at most 4194304 are allowed',
    );
  });

  test.each([
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['not JSON', '{"kind":'],
    ['behind a byte order mark', '\ufeff{}'],
    ['not in normalization form C', '{"detail":"a\u0308"}'],
  ])('is refused where it is %s', (_what, bytes) => {
    expect(refusalOf(bytes)).toBe('EVIDENCE_MALFORMED the evidence is not JSON in UTF-8');
  });

  test.each([
    ['another kind', { kind: 'quarrel' }],
    ['another format', { format: 'registry/evidence/v2' }],
    ['an unknown member', { more: 1 }],
    ['one chain', { chains: [chain] }],
    ['three chains', { chains: [chain, chain, chain] }],
    ['sequence 0', { sequence: 0 }],
    ['an endless path', { chains: [chain, { ...chain, path: Array(129).fill('{}') }] }],
  ])('is refused with %s', (_what, changes) => {
    const bytes = JSON.stringify({ ...kinds[0], ...changes });

    expect(refusalOf(bytes)).toMatch(/^EVIDENCE_MALFORMED the evidence (SCHEMA|UNKNOWN)_/);
  });

  test.each([[], [commit, commit, commit, commit]])('has one to three deliveries', (...some) => {
    const bytes = JSON.stringify({ ...common, kind: 'digest-mismatch', deliveries: some });

    expect(refusalOf(bytes)).toMatch(/^EVIDENCE_MALFORMED/);
  });
});
