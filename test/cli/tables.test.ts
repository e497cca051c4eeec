import { expect, test } from 'vitest';
import { registryLines } from '../../cli/tables.ts';
import type { RegistryAnswer } from '../../shared/client/answers.ts';
import type { TestPeer } from '../builders.ts';
import { testPeers, timeAfter } from '../builders.ts';

type PeerRow = RegistryAnswer['peers'][number];

const [a, b, c, d] = testPeers(4) as [TestPeer, TestPeer, TestPeer, TestPeer];

function mirror(peer: TestPeer, row: Partial<PeerRow>): PeerRow {
  const none = { self: false, failures: 0, lagEntries: 0, lagSeconds: 0 };
  return { peer: peer.certificateId, role: 'mirror', state: 'in-step', ...none, ...row };
}

function answerWith(peers: readonly PeerRow[]): RegistryAnswer {
  const digest = 'ab'.repeat(32) as RegistryAnswer['registryId'];
  const sequence = 29 as RegistryAnswer['configuration']['sequence'];
  return {
    registryId: digest,
    head: { sequence, digest, timestamp: timeAfter(0) },
    role: 'lead',
    configuration: { sequence, digest },
    openConflicts: [],
    peers: [...peers],
  };
}

test('a peer that is away, and one that was never heard of, are rows like the others', () => {
  const confirmedThrough = 28 as NonNullable<PeerRow['confirmedThrough']>;
  const late = { state: 'catching-up', lagEntries: 1, lagSeconds: 90, deliveredThrough: 29 };
  const away = { state: 'unreachable', failures: 9, lastError: 'connection refused' };

  const lines = registryLines(
    answerWith([
      { ...mirror(a, { self: true }), role: 'lead' },
      mirror(b, { ...late, confirmedThrough }),
      mirror(c, { ...away, lagEntries: 29, lagSeconds: 7200 }),
      mirror(d, { ...away, lagEntries: 29, lagSeconds: 200_000, failures: 0 }),
    ]),
  );

  const [A, B, C, D] = [a, b, c, d].map(({ certificateId }) => certificateId.slice(0, 8));
  expect(lines.slice(3)).toEqual([
    '  role    peer      state        confirmed        behind           delivered',
    `  lead    ${A}  in-step      leads            -                -           this instance`,
    `  mirror  ${B}  catching-up  through 28       1 entry, 90 s    through 29`,
    `  mirror  ${C}  unreachable  never confirmed  29 entries, 2 h  -           failed 9 times, last: connection refused`,
    `  mirror  ${D}  unreachable  never confirmed  29 entries, 2 d  -`,
  ]);
});

test('what an instance says of a peer cannot draw on the terminal', () => {
  const [, , , , row] = registryLines(
    answerWith([mirror(b, { state: 'new\u001b[2J', failures: 1, lastError: 'a\nb\u001b[31m' })]),
  );

  expect(row).toMatch(/ new \[2J .* last: a b \[31m$/);
});

test('mirrors whose operators have not accepted are told as stopped, also where nothing is open', () => {
  const resolution = 'cd'.repeat(32) as NonNullable<PeerRow['awaitsAcceptance']>;
  const stopped = { awaitsAcceptance: resolution, failures: 5, lastError: 'answered 409' };

  const lines = registryLines(answerWith([mirror(b, stopped), mirror(c, {}), mirror(d, stopped)]));

  const [B, D] = [b, d].map(({ certificateId }) => certificateId.slice(0, 8));
  expect(lines[2]).toBe(
    `conflicts none open here; STOPPED until their operators accept: ${B}, ${D} ` +
      `(resolution ${resolution})`,
  );
  expect(lines[4]).toMatch(new RegExp(`mirror {2}${B} {2}to accept .*last: answered 409$`));
  expect(lines[5]).toMatch(/ in-step /);
});

test('a registry that was closed, here or at a peer, is told as closed at which entry', () => {
  const closedAt = 28 as NonNullable<PeerRow['closedAt']>;

  const lines = registryLines({ ...answerWith([mirror(b, { closedAt })]), closed: true });

  expect(lines[2]).toBe('CLOSED   here at entry 29, for good: nothing is recorded here any more');
  expect(lines.at(-1)).toMatch(/ CLOSED at 28 /);
});
