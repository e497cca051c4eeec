import { expect, test } from 'vitest';
import { conflictLines, storyLines } from '../../cli/conflict-lines.ts';
import type { ConflictEvent, ConflictStory } from '../../shared/client/conflicts.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { type TestPeer, testPeers, timeAfter } from '../builders.ts';

const [lead, b, c] = testPeers(3) as [TestPeer, TestPeer, TestPeer];
const [B, C] = [b, c].map(({ certificateId }) => certificateId.slice(0, 8));
const [stays, givesWay] = [digestOf('one'), digestOf('other')];
const [first, second] = [digestOf('first'), digestOf('second')];

function resolution(digest: string, after?: string): ConflictEvent {
  const said = { manner: 'replay', reason: 'x', signer: lead.certificateId, decidedBy: 'op' };
  const entries = [stays, givesWay].map((each) => ({ sequence: 5, digest: each }));
  const parts = after === undefined ? {} : { after };
  const event = { kind: 'resolution', at: timeAfter(20), digest };
  return { ...event, said: { ...said, entries, ...parts } } as unknown as ConflictEvent;
}

/** A fork that the lead itself reports, at the lead, which has decided twice. */
const story = {
  conflictId: digestOf('conflict'),
  said: {
    kind: 'fork',
    sequence: 5,
    digests: [stays, givesWay],
    accused: lead.certificateId,
    signer: lead.certificateId,
    detectedAt: timeAfter(1),
  },
  open: false,
  recordedAt: timeAfter(2),
  reports: 1,
  resolution: second,
  awaitsAcceptance: false,
  notAccepted: [b.certificateId, c.certificateId],
  history: [
    {
      kind: 'report',
      at: timeAfter(2),
      digest: digestOf('report'),
      said: { signer: lead.certificateId, accused: lead.certificateId, detectedAt: timeAfter(1) },
      worth: 'proven',
      finding: 'signed two',
    },
    resolution(first),
    resolution(second, first),
  ],
  manners: [],
  decideAt: { certificateId: lead.certificateId, endpoint: 'https://lead.example' },
  branches: { stays, givesWay },
  next: 'x',
} as unknown as ConflictStory;

test('a fork is no word of the lead about itself, and says which branch stays', () => {
  const lines = storyLines(story);

  const L = lead.certificateId.slice(0, 8);
  expect(lines.slice(1, 6)).toEqual([
    `fork at entry 5, found by ${L}, accused ${L}`,
    `entry 5 with ${stays}: STAYS, by the decision (the lead's own copy)`,
    `entry 5 with ${givesWay}: gives way`,
    `  ${timeAfter(1)}  reported by ${L}, by its clock (arrived here ${timeAfter(2)})`,
    `    PROVEN about ${L}: signed two`,
  ]);
  expect(storyLines({ ...story, branches: undefined as never }).slice(2, 4)).toEqual([
    `entry 5 with ${stays}`,
    `entry 5 with ${givesWay}`,
  ]);
});

test('a decision that a later one has ended is marked', () => {
  const lines = storyLines(story);

  const at = lines.findIndex((line) => line.endsWith(`resolution ${first}`));
  expect(lines[at]).toMatch(/ {2}arrived here 20\S+ {2}decided replay of entries 5 by /);
  expect(lines[at + 1]).toBe(`    ENDED by the later resolution ${second}`);
  expect(lines.filter((line) => line.includes('ENDED'))).toHaveLength(1);
});

test('mirrors that wait for their operators are named in the story and in the list', () => {
  const told = `mirrors ${B}, ${C} are stopped until their operators have accepted the resolution ${second}`;

  expect(storyLines(story)).toContain(told);
  expect(conflictLines(story).at(-1)).toBe(`  ${told}`);
  expect(conflictLines({ ...story, notAccepted: [b.certificateId] }).at(-1)).toBe(
    `  mirror ${B} is stopped until its operator has accepted the resolution ${second}`,
  );
});
