/** All drills: what each of them does, and how it can be resolved. */
import type { ConflictKind } from '../../../shared/ledger/conflict.ts';
import { digestMismatch } from './digest-mismatch.ts';
import { documentMismatch } from './document-mismatch.ts';
import { Drilled, type Site } from './drilled.ts';
import { fork } from './fork.ts';
import { invalidTransaction } from './invalid-transaction.ts';
import { leadRollback } from './lead-rollback.ts';
import { localTampering } from './local-tampering.ts';
import type { ShownAlarm } from './shown.ts';

export interface Drill {
  readonly kind: ConflictKind;
  /** What happens, in half a sentence. */
  readonly cause: string;
  /** As `--resolve` takes them; the first one unless given. */
  readonly manners: readonly [string, ...string[]];
  /** Ends when everybody goes on. Rejects with the reason where something does not come about. */
  readonly hold: (drilled: Drilled, manner: string) => Promise<ShownAlarm>;
}

export const drills: readonly Drill[] = [
  {
    kind: 'local-tampering',
    cause: "somebody edits one byte in the contractor's table",
    manners: ['replay', 'expel'],
    hold: localTampering,
  },
  {
    kind: 'fork',
    cause: 'the lead tells the contractor another story than the others',
    manners: ['replay', 'close'],
    hold: fork,
  },
  {
    kind: 'invalid-transaction',
    cause: 'the lead records what breaks the rules',
    manners: ['replace'],
    hold: invalidTransaction,
  },
  {
    kind: 'document-mismatch',
    cause: 'the bytes of a document are wrong wherever they are',
    manners: ['replace', 'replay'],
    hold: documentMismatch,
  },
  {
    kind: 'digest-mismatch',
    cause: "somebody edits one byte in the lead's table",
    manners: ['take-back'],
    hold: digestMismatch,
  },
  {
    kind: 'lead-rollback',
    cause: "the lead's table is restored from an old backup",
    manners: ['take-back'],
    hold: leadRollback,
  },
];

/** Holds one drill in a registry of its own; afterwards all instances are online. */
export async function holdDrill(site: Site, drill: Drill, manner: string): Promise<ShownAlarm> {
  const drilled = await Drilled.create(site);
  try {
    return await drill.hold(drilled, manner);
  } finally {
    await drilled.allBack();
    drilled.close();
  }
}
