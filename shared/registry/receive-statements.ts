import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import type { Statements } from './messages.ts';
import { receiveConfirmation } from './receive-confirmation.ts';
import { type ReceiveConflictPorts, receiveConflict } from './receive-conflict.ts';
import { receiveOther, receiveResolution } from './receive-decision.ts';

/**
 * What peers send beside entries, each statement judged by its own rules: confirmations, conflicts,
 * and what people decided. In the order of the sender's log; what cannot be judged yet is sent back
 * for later, and what is refused is counted and alarmed (protocol sections 6 and 7).
 */

export type StatementsOutcome =
  /** `fresh`: something of it was new here. */
  | { readonly outcome: 'taken'; readonly count: number; readonly fresh: boolean }
  /** The first `count` are taken; the next is about something that is not here yet. */
  | { readonly outcome: 'ahead'; readonly count: number; readonly head: number }
  | { readonly outcome: 'refused'; readonly count: number; readonly refused: Refused }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  | { readonly outcome: 'unknown-registry' };

type Carried = Statements['statements'][number];

export async function receiveStatements(
  ports: ReceiveConflictPorts,
  caller: CertificateId,
  message: Statements,
): Promise<StatementsOutcome> {
  const { registryId } = message;
  let count = 0;
  let fresh = false;
  for (const carried of message.statements) {
    const outcome = await receiveOne(ports, registryId, caller, carried);
    if (outcome === 'held' || outcome === 'new') {
      count += 1;
      fresh ||= outcome === 'new';
      continue;
    }
    if (outcome.outcome === 'refused') {
      const { code, detail } = outcome;
      ports.alarms.raise('StatementsRefused', { registryId, peer: caller, code, detail });
      return { outcome: 'refused', count, refused: outcome };
    }
    return outcome.outcome === 'ahead' ? { ...outcome, count } : outcome;
  }
  return { outcome: 'taken', count, fresh };
}

type OneOutcome =
  | 'held'
  | 'new'
  | Refused
  | { readonly outcome: 'ahead'; readonly head: number }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  | { readonly outcome: 'unknown-registry' };

async function receiveOne(
  ports: ReceiveConflictPorts,
  registryId: RegistryId,
  caller: CertificateId,
  { statement, checkpoint, decision }: Carried,
): Promise<OneOutcome> {
  switch (kindOf(statement)) {
    case 'confirmation':
      return receiveConfirmation(ports, registryId, [statement, checkpoint]);
    case 'conflict':
      return receiveConflict(ports, registryId, caller, statement);
    case 'resolution':
      return receiveResolution(ports, registryId, { statement, decision: decision ?? '' });
    case 'acceptance':
      return receiveOther(ports, registryId, 'acceptance', signedOf(statement, decision));
    case 'set-aside':
      return receiveOther(ports, registryId, 'set-aside', signedOf(statement, decision));
    case 'closing':
      return receiveOther(ports, registryId, 'closing', signedOf(statement, decision));
    case undefined:
      return refuse(
        'UNKNOWN_FORMAT',
        'is no statement that peers send each other: expected a confirmation, a conflict, a ' +
          'resolution, an acceptance, a set-aside or a closing',
      );
  }
}

function signedOf(statement: string, decision: string | undefined) {
  return decision === undefined ? { statement } : { statement, decision };
}

const kinds = [
  'confirmation',
  'conflict',
  'resolution',
  'acceptance',
  'set-aside',
  'closing',
] as const;

/** What it seems to be, to choose its reader, which verifies it. */
function kindOf(compact: string): (typeof kinds)[number] | undefined {
  const format = formatIn(compact);
  return kinds.find((kind) => format === `registry/${kind}/v1`);
}

function formatIn(compact: string): unknown {
  try {
    return (payloadOf(compact as Compact) as { readonly format?: unknown } | null)?.format;
  } catch {
    return undefined;
  }
}
