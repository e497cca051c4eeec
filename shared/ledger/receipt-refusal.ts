import { type RefusalCode, type Refused, refuse } from './errors.ts';

/** Carries a refusal out of the steps that judge a receipt: any of them may be the last. */
export class ReceiptRefusal extends Error {
  readonly refused: Refused;

  constructor(refused: Refused) {
    super(refused.detail);
    this.refused = refused;
  }
}

export function fail(code: RefusalCode, detail: string): never {
  throw new ReceiptRefusal(refuse(code, detail));
}

/** `detail` goes on after "the receipt". */
export function malformed(detail: string): never {
  return fail('RECEIPT_MALFORMED', `the receipt ${detail}; ask for it again`);
}

/** What was read, or the end. */
export function accepted<T extends { readonly outcome: string }>(outcome: T | Refused): T {
  if (outcome.outcome === 'refused') throw new ReceiptRefusal(outcome as Refused);
  return outcome as T;
}
