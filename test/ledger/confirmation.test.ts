import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { readConfirmation } from '../../shared/ledger/confirmation.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { checkpointFor, confirmationFor, TestLedger, testPeer, timeAfter } from '../builders.ts';

const [lead, mirror] = [testPeer(), testPeer()];
const { head, registryId } = new TestLedger([lead, mirror]);
const statement = confirmationFor(head, mirror);
const confirmation = mirror.sign(statement);
const checkpoint = lead.sign(checkpointFor(head, lead));
const other = digestOf('other');

describe('a confirmation', () => {
  test('says what the protocol says, and nothing else', () => {
    expect(encodeCanonical(statement).toString()).toBe(
      `{"confirmedAt":"${timeAfter(1)}","copy":1,"digest":"${head.digest}",` +
        `"format":"registry/confirmation/v1","registryId":"${registryId}","sequence":1,` +
        `"signer":"${mirror.certificateId}"}`,
    );
  });

  test('is read together with the checkpoint that it confirms', () => {
    expect(readConfirmation(registryId, confirmation, checkpoint)).toMatchObject({
      outcome: 'read',
      confirmation: { statement },
      checkpoint: { statement: checkpointFor(head, lead) },
    });
  });

  test.each([
    ['a text that is none', 'x', checkpoint, 'STATEMENT_MALFORMED'],
    ['a checkpoint in its place', checkpoint, checkpoint, 'STATEMENT_MALFORMED'],
    [
      'a confirmation in place of the checkpoint',
      confirmation,
      confirmation,
      'STATEMENT_MALFORMED',
    ],
    [
      'another registry confirmed',
      mirror.sign({ ...statement, registryId: other }),
      checkpoint,
      'STATEMENT_REGISTRY_DIFFERS',
    ],
    [
      'a checkpoint of another registry',
      confirmation,
      lead.sign(checkpointFor({ ...head, registryId: other }, lead)),
      'STATEMENT_REGISTRY_DIFFERS',
    ],
    [
      'a checkpoint of another sequence',
      confirmation,
      lead.sign(checkpointFor({ ...head, sequence: 2 as Sequence }, lead)),
      'CHECKPOINT_DIFFERS',
    ],
    [
      'a checkpoint of another digest',
      confirmation,
      lead.sign(checkpointFor({ ...head, digest: other }, lead)),
      'CHECKPOINT_DIFFERS',
    ],
  ])('with %s is refused', (_rule, confirmed, checkpointed, code) => {
    expect(readConfirmation(registryId, confirmed, checkpointed)).toMatchObject({ code });
  });
});
