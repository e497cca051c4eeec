import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { checkCheckpoint, checkpointOf, headSchema } from '../../shared/ledger/checkpoint.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { readStatement } from '../../shared/ledger/jws.ts';
import { checkpointFor, TestLedger, testPeer, timeAfter } from '../builders.ts';

const [lead, mirror] = [testPeer(), testPeer()];
const { head } = new TestLedger([lead, mirror]);
const statement = checkpointFor(head, lead);
const expected = { ...head, signer: lead.certificateId };

describe('a checkpoint', () => {
  test('says what the protocol says, and nothing else', () => {
    expect(encodeCanonical(statement).toString()).toBe(
      `{"copy":1,"digest":"${head.digest}","format":"registry/checkpoint/v1",` +
        `"issuedAt":"${timeAfter(0)}","registryId":"${head.registryId}","sequence":1,` +
        `"signer":"${lead.certificateId}"}`,
    );
  });

  test('of the expected lead over the expected entry is accepted', () => {
    expect(checkCheckpoint(lead.sign(statement), expected)).toMatchObject({
      outcome: 'read',
      statement,
    });
  });

  test.each([
    ['another registry', { registryId: digestOf('other') }, 'STATEMENT_REGISTRY_DIFFERS'],
    ['another sequence', { sequence: 2 }, 'CHECKPOINT_DIFFERS'],
    ['another digest', { digest: digestOf('other') }, 'CHECKPOINT_DIFFERS'],
  ])('of %s is refused', (_rule, change, code) => {
    const text = lead.sign(checkpointOf({ ...statement, ...change } as typeof statement));

    expect(checkCheckpoint(text, expected)).toMatchObject({ code });
  });

  test('of a mirror is refused', () => {
    const text = mirror.sign(checkpointFor(head, mirror));

    expect(checkCheckpoint(text, expected)).toMatchObject({ code: 'LEAD_DIFFERS' });
  });

  test('that cannot be read is refused as such', () => {
    expect(checkCheckpoint('x', expected)).toMatchObject({ code: 'STATEMENT_MALFORMED' });
  });
});

describe('the answer to "what is your head?"', () => {
  const { issuedAt: _, ...place } = statement;
  const answer = { ...place, format: 'registry/head/v1' as const, nonce: '0f'.repeat(16) };

  test('carries the nonce of the asker', () => {
    expect(readStatement(lead.sign(answer), headSchema)).toMatchObject({ statement: answer });
  });

  test.each(['', '0F'.repeat(16), '0f'.repeat(15)])('with the nonce "%s" is malformed', (nonce) => {
    expect(
      readStatement(lead.sign({ ...answer, nonce } as typeof answer), headSchema),
    ).toMatchObject({
      code: 'STATEMENT_MALFORMED',
    });
  });
});
