import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Link } from '../../shared/ledger/backlinks.ts';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import {
  type CertificateId,
  type Digest,
  digestOf,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import { buildEntry, type EntryParts, linkTo, readEntry } from '../../shared/ledger/entry.ts';
import { timeAfter } from '../builders.ts';

const D1 = digestOf('one');
const link = { digest: D1, sequence: 7 as Sequence };

const parts: EntryParts = {
  registryId: D1,
  sequence: 8 as Sequence,
  lead: digestOf('lead') as string as CertificateId,
  backlinks: [link],
  configuration: link,
  subject: link,
  resolves: [],
  timestamp: timeAfter(0),
  transactionDigest: D1,
};

function codeOf(value: unknown): string {
  const read = readEntry(encodeCanonical(value));
  return read.outcome === 'refused' ? read.code : 'read';
}

describe('an entry', () => {
  const { entry } = buildEntry(parts);

  test('is read as it was built', () => {
    const built = buildEntry(parts);

    expect(readEntry(built.bytes)).toEqual(built);
    expect(linkTo(built)).toEqual({ sequence: 8, digest: digestOf(built.bytes) });
  });

  test('needs all of its members but the configuration link and the subject link', () => {
    const missing = Object.keys(entry).filter((name) => {
      const rest = Object.entries(entry).filter(([each]) => each !== name);
      return codeOf(Object.fromEntries(rest)) === 'read';
    });

    expect(missing.sort()).toEqual(['configuration', 'subject']);
  });

  test.each([
    ['an unknown member', { extra: 1 }, 'UNKNOWN_MEMBER'],
    ['an unknown member of a link', { subject: { ...link, copy: 1 } }, 'UNKNOWN_MEMBER'],
    ['another version of the format', { format: 'registry/entry/v2' }, 'SCHEMA_VIOLATION'],
    ['sequence 0', { sequence: 0 }, 'SCHEMA_VIOLATION'],
    ['54 backlinks', { backlinks: Array(54).fill(link) }, 'SCHEMA_VIOLATION'],
    ['101 resolutions', { resolves: Array(101).fill(D1) }, 'SCHEMA_VIOLATION'],
    ['a lead that is no certificate id', { lead: 'lead' }, 'SCHEMA_VIOLATION'],
    ['a time that does not exist', { timestamp: '2026-02-30T00:00:00.000Z' }, 'SCHEMA_VIOLATION'],
    ['null for a link', { subject: null }, 'SCHEMA_VIOLATION'],
  ])('with %s is refused', (_rule, change, code) => {
    expect(codeOf({ ...entry, ...change })).toBe(code);
  });

  test('of other bytes than canonical ones is refused', () => {
    expect(readEntry(Buffer.from(`${buildEntry(parts).bytes} `))).toMatchObject({
      code: 'NOT_CANONICAL',
    });
  });

  test('of 65 KiB is refused', () => {
    expect(readEntry(Buffer.alloc(65 * 1024))).toMatchObject({ code: 'TOO_LARGE' });
  });

  test('is built as the canonical encoding of its members, whatever they are', () => {
    const digests = fc.nat(9).map((n) => digestOf(String(n)));
    const sequences = fc
      .integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
      .map((n) => n as Sequence);
    const links: fc.Arbitrary<Link> = fc.record({ digest: digests, sequence: sequences });
    const any = fc.record(
      {
        registryId: digests,
        sequence: sequences,
        lead: digests.map((digest: Digest) => digest as string as CertificateId),
        backlinks: fc.array(links, { maxLength: 4 }),
        configuration: links,
        subject: links,
        resolves: fc.array(digests, { maxLength: 3 }),
        timestamp: fc.nat(1e9).map(timeAfter),
        transactionDigest: digests,
      },
      {
        requiredKeys: [
          'registryId',
          'sequence',
          'lead',
          'backlinks',
          'resolves',
          'timestamp',
          'transactionDigest',
        ],
      },
    );
    fc.assert(
      fc.property(any, (members) => {
        const built = buildEntry(members as EntryParts);
        expect(built.bytes).toEqual(encodeCanonical({ ...members, format: 'registry/entry/v1' }));
        expect(readEntry(built.bytes)).toEqual(built);
      }),
    );
  });
});
