import { expect, test } from 'vitest';
import { commandLine } from './commands.ts';

async function asOperator() {
  const line = await commandLine();
  const { lead, atLead, profile } = line;
  const { certificatePem, keyPem } = lead.operator;
  const file = profile('operator', { ...atLead.profile(), certificatePem, keyPem });
  return { ...line, deny: (...words: string[]) => line.run('deny', ...words, '--profile', file) };
}

test('an operator denies a peer, sees it on the list, and takes it off', async () => {
  const { deny, lead, mirror } = await asOperator();

  const added = await deny('add', mirror.id);
  const listed = await deny('list');
  const removed = await deny('remove', mirror.id);
  const empty = await deny('list');

  expect([added, listed, removed, empty].map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  expect(added.lines).toEqual([
    `${mirror.id}: denied; every function keeps to it within 60 seconds`,
  ]);
  expect(listed.lines).toEqual([
    expect.stringMatching(
      new RegExp(`^${mirror.id}  since 20\\S+ by operator ${lead.operator.certificateId}$`),
    ),
  ]);
  expect(removed.lines).toEqual([`${mirror.id}: no longer denied, within 60 seconds`]);
  expect(empty.lines).toEqual(['nobody is denied']);
});

test.each([
  ['what is no certificate id', () => 'abc', /^ARGUMENT_INVALID: "abc" is no certificate id/],
  ['the instance itself', (own: string) => own, /^DENIAL_NOT_ALLOWED: /],
] as const)('%s is refused with the reason', async (_, idOf, sentence) => {
  const { deny, lead } = await asOperator();

  const { code, lines } = await deny('add', idOf(lead.id));

  expect([code, lines]).toEqual([1, [expect.stringMatching(sentence)]]);
});
