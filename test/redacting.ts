/** Redactions as an operator and an instance sign them. */
import {
  type RedactionPlace,
  redactionOf,
  type SignedRedaction,
} from '../shared/ledger/redaction.ts';
import type { Redaction } from '../shared/ledger/resolution.ts';
import type { TestPeer } from './builders.ts';

/** The redaction that the instance and its operator sign, of the details at that place. */
export function redactionBy(
  instance: TestPeer,
  operator: TestPeer,
  place: RedactionPlace & Partial<Redaction>,
): SignedRedaction {
  const redaction = redactionOf({
    signer: instance.certificateId,
    decidedBy: operator.certificateId,
    reason: 'Löschverlangen vom 3. November',
    ...place,
  } as Redaction);
  return { statement: instance.sign(redaction), decision: operator.sign(redaction) };
}
