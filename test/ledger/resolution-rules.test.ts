import { describe, expect, test } from 'vitest';
import type { Link } from '../../shared/ledger/backlinks.ts';
import {
  type ConflictKind,
  type ConflictStatement,
  conflictIdOf,
  conflictKindSchema,
  conflictOf,
} from '../../shared/ledger/conflict.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { Resolution } from '../../shared/ledger/resolution.ts';
import { checkResolution, mannersOf } from '../../shared/ledger/resolution-rules.ts';
import { testPeer, timeAfter } from '../builders.ts';

const [lead, mirror, operator] = [testPeer(), testPeer(), testPeer()];
const registryId = digestOf('registry');
const branches = [digestOf('a'), digestOf('b')];

function conflict(kind: ConflictKind, changes: Partial<ConflictStatement> = {}): ConflictStatement {
  return conflictOf({
    registryId,
    kind,
    sequence: 7 as Sequence,
    digests: branches,
    accused: lead.certificateId,
    signer: mirror.certificateId,
    detectedAt: timeAfter(0),
    evidence: [],
    ...changes,
  });
}

function link(sequence: number, digest = digestOf(`entry ${sequence}`)): Link {
  return { sequence: sequence as Sequence, digest };
}

function check(conflicts: readonly ConflictStatement[], changes: Partial<Resolution>): string {
  const resolution: Resolution = {
    registryId,
    signer: lead.certificateId,
    decidedBy: operator.certificateId,
    reason: 'Gemeinsam besprochen',
    format: 'registry/resolution/v1',
    manner: 'replay',
    conflicts: conflicts.map(conflictIdOf),
    entries: [],
    through: link(9),
    ...changes,
  };
  const refused = checkResolution(resolution, conflicts, lead.certificateId);
  return refused === undefined ? 'fits' : `${refused.code} ${refused.detail}`;
}

describe('the manners of resolution', () => {
  test.each<[ConflictKind, boolean, string]>([
    ['digest-mismatch', false, 'replay, expel, close'],
    ['fork', true, 'replay, expel, close'],
    ['invalid-transaction', true, 'replay, replace, expel, close'],
    ['document-mismatch', false, 'replay, replace, expel, close'],
    ['lead-rollback', true, 'take-back, close'],
    ['local-tampering', true, 'take-back, close'],
    ['local-tampering', false, 'replay, expel, close'],
  ])('of a %s, where it is %s that the lead is accused, are %s', (kind, accusedLeads, manners) => {
    expect(mannersOf(kind, { accusedLeads }).join(', ')).toBe(manners);
  });

  test.each(conflictKindSchema.options)('of a %s always end in closing the registry', (kind) => {
    for (const accusedLeads of [true, false])
      expect(mannersOf(kind, { accusedLeads }).at(-1)).toBe('close');
  });
});

describe('a resolution', () => {
  test('fits the conflicts that it names', () => {
    expect(check([conflict('fork'), conflict('digest-mismatch')], {})).toBe('fits');
    expect(check([conflict('lead-rollback')], { manner: 'take-back' })).toBe('fits');
    expect(check([conflict('fork')], { manner: 'expel' })).toBe('fits');
    expect(check([conflict('fork')], { manner: 'close' })).toBe('fits');
  });

  test('names conflicts that are known, each once, and of its own registry', () => {
    const known = conflict('fork');
    const twice = [conflictIdOf(known), conflictIdOf(known)];
    const other = conflict('fork', { registryId: digestOf('other') });

    expect(check([known], { conflicts: twice })).toMatch(/^RESOLUTION_MALFORMED .*twice/);
    expect(check([known], { conflicts: [digestOf('x')] })).toMatch(/which is not known$/);
    expect(check([other], {})).toMatch(/^RESOLUTION_MALFORMED .*names a conflict of/);
  });

  test('is of a manner that all its conflicts allow', () => {
    const found = [conflict('document-mismatch'), conflict('fork')];

    expect(check(found, { manner: 'replace', entries: [link(7)] })).toBe(
      'MANNER_NOT_ALLOWED a conflict of the kind fork is not resolved by replace; choose replay ' +
        'or expel or close',
    );
    expect(check([conflict('fork')], { manner: 'set-aside' })).toMatch(/^MANNER_NOT_ALLOWED/);
  });

  test('of tampering depends on whether the lead found it', () => {
    const own = conflict('local-tampering');
    const theirs = conflict('local-tampering', { accused: mirror.certificateId });

    expect(check([own], { manner: 'take-back' })).toBe('fits');
    expect(check([own], { manner: 'replay' })).toMatch(/^MANNER_NOT_ALLOWED/);
    expect(check([theirs], { manner: 'replay' })).toBe('fits');
    expect(check([theirs], { manner: 'take-back' })).toMatch(/^MANNER_NOT_ALLOWED/);
  });

  test.each<Resolution['manner']>(['expel', 'close'])('to %s names no entries', (manner) => {
    expect(check([conflict('fork')], { manner, entries: [link(7)] })).toBe(
      `RESOLUTION_MALFORMED the resolution names entries; ${manner} replaces and voids none: ` +
        'leave them out',
    );
  });

  test('to replay a fork names both branches, or none', () => {
    const [a, b] = branches.map((digest) => link(7, digest)) as [Link, Link];

    expect(check([conflict('fork')], { entries: [a, b] })).toBe('fits');
    expect(check([conflict('fork')], { entries: [a] })).toMatch(/names one branch of the fork at/);
    expect(check([conflict('fork')], { entries: [a, b, link(6)] })).toMatch(/at most the two/);
    expect(check([conflict('digest-mismatch')], { entries: [a, b] })).toMatch(/at most the two/);
  });

  test('to replay several forks may name the branches of some', () => {
    const other = conflict('fork', { sequence: 8 as Sequence });
    const entries = branches.map((digest) => link(7, digest));

    expect(check([conflict('fork'), other], { entries })).toBe('fits');
  });
});

describe('a resolution to replace', () => {
  const replace = (
    entries: Link[],
    conflicts = [conflict('invalid-transaction', { digests: [digestOf('entry 7')] })],
  ) => check(conflicts, { manner: 'replace', entries });

  test('names the entry that the conflict is about, and what becomes void with it', () => {
    expect(replace([link(7)])).toBe('fits');
    expect(replace([link(7), link(9), link(8)])).toBe('fits');
    expect(replace([link(7)], [conflict('document-mismatch', { accused: 'open' })])).toBe('fits');
  });

  test('lacks no entry that a conflict is about', () => {
    expect(replace([])).toBe(
      'RESOLUTION_MALFORMED the resolution lacks entry 7, which the conflict is about',
    );
    expect(replace([link(8)])).toMatch(/lacks entry 7/);
  });

  test('names each place once, none beyond its decision, and never entry 1', () => {
    expect(replace([link(7), link(7, digestOf('x'))])).toMatch(/names two entries for one place/);
    expect(replace([link(7), link(10)])).toMatch(/names entry 10, beyond entry 9 up to which/);
    expect(replace([link(7), link(1)])).toMatch(/names entry 1; what creates a registry/);
  });
});
