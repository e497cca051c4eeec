/** Facts of rows, held against the receipt of the entry that recorded them. */
import type { Transaction } from '../ledger/transaction.ts';
import { notProven } from './problem.ts';
import type { ProvenEntry } from './receipts.ts';

/** The transaction of the entry, which must be of that type. */
export function transactionIn<Type extends Transaction['type']>(
  { receipt }: ProvenEntry,
  type: Type,
): Extract<Transaction, { type: Type }> {
  const { transaction, sequence } = receipt;
  if (transaction.type !== type)
    throw notProven(`the answer takes entry ${sequence} for ${type}; it is ${transaction.type}`);
  return transaction as Extract<Transaction, { type: Type }>;
}

/** The words in details: which ones depends on the type of the transaction. */
export interface Texts {
  readonly name?: string;
  readonly description?: string;
  readonly note?: string;
  readonly signer?: string;
  readonly redacted?: true;
}

/** The words of the entry, or that they are redacted. */
export function textsIn({ receipt }: ProvenEntry): Texts {
  if (receipt.details === undefined) return { redacted: true };
  const { format: _format, salt: _salt, ...texts } = receipt.details;
  return texts;
}

/** What a redaction takes out. It may have happened since the row was read: then it counts. */
const TEXTS: ReadonlySet<string> = new Set(['name', 'description', 'note', 'signer', 'redacted']);

/** Throws where the row says something else than what is proven, in one of the facts. */
export function requireSame<Fact extends string>(
  row: Readonly<Partial<Record<Fact, unknown>>>,
  proven: Readonly<Partial<Record<Fact, unknown>>> & Pick<Texts, 'redacted'>,
  facts: readonly Fact[],
): void {
  for (const fact of facts) {
    if (proven.redacted === true && TEXTS.has(fact)) continue;
    const [said, is] = [JSON.stringify(row[fact]), JSON.stringify(proven[fact])];
    if (said !== is)
      throw notProven(`the answer says ${fact}: ${said}, the receipt of its entry ${is}`);
  }
}
