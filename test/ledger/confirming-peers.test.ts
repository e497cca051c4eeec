import { describe, expect, test } from 'vitest';
import { ConfirmingPeers } from '../../shared/ledger/confirming-peers.ts';
import type { CertificateId } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';

const all = ['a', 'b', 'c', 'd'] as readonly string[] as readonly CertificateId[];

function list(ids: string): readonly CertificateId[] {
  return [...ids] as readonly string[] as readonly CertificateId[];
}

/**
 * Who may confirm after so many entries: letters bring a list, `.` brings none, `|` ends a commit.
 */
function confirmingAfter(...steps: readonly string[]): string {
  const peers = new ConfirmingPeers();
  let sequence = 0;
  for (const step of steps) {
    if (step === '|') {
      peers.endCommit();
      continue;
    }
    sequence += 1;
    peers.extend(sequence, step === '.' ? undefined : list(step));
  }
  return all.filter((peer) => peers.includes(peer)).join('');
}

describe('who may confirm an entry', () => {
  test.each([
    ['every mirror of the list in force', ['abc', '|', '.'], 'bc'],
    ['nobody where the lead is alone', ['a', '|', '.'], ''],
    ['a mirror that the entry adds', ['ab', '|', 'abc'], 'bc'],
    ['a mirror that the entry removes', ['abc', '|', 'ab'], 'bc'],
    ['a mirror removed earlier in the same commit', ['abc', '|', 'ab', '.'], 'bc'],
    ['no mirror removed by a commit before', ['abc', '|', 'ab', '|', '.'], 'b'],
    ['nobody who was in a list before', ['abc', 'ab', '|', 'ad', '|', '.'], 'd'],
    ['every list within the same commit', ['ab', '|', 'ac', 'ad', '.'], 'bcd'],
    ['the lead that hands over, and its successor', ['abc', '|', 'bac'], 'abc'],
    ['no new lead after the hand-over', ['abc', '|', 'bac', '|', '.'], 'ac'],
    ['a lead that hands over and leaves', ['ab', '|', 'b'], 'ab'],
    ['a lead under its new key, and under the old one', ['ab', '|', 'cb'], 'abc'],
  ])('%s', (_rule, steps, confirming) => {
    expect(confirmingAfter(...steps)).toBe(confirming);
  });

  test('where no checkpoint shows a commit, a removed mirror may for as long as one can be', () => {
    const confirming = (entries: number) =>
      confirmingAfter('abc', '|', 'ab', ...Array(entries).fill('.'));

    expect(confirming(limits.commitEntriesMax - 1)).toBe('bc');
    expect(confirming(limits.commitEntriesMax)).toBe('b');
  });
});

test('an entry hands over where the lead after it is another', () => {
  const peers = new ConfirmingPeers();
  const handOvers = ['ab', undefined, 'ac', 'ca', undefined, 'dc'].map((step, index) => {
    peers.extend(index + 1, step === undefined ? undefined : list(step));
    return peers.handOver;
  });

  expect(handOvers).toEqual([false, false, false, true, false, true]);
});
