import type { Link } from './backlinks.ts';
import { sameLink } from './chain.ts';
import { type Refused, refuse } from './errors.ts';
import type { SupersededItem } from './state.ts';
import type { Transaction } from './transaction.ts';

/** Alternative transactions, which replace an entry under a resolution: protocol sections 3 and 7. */

/** What an alternative to the transaction must be about as well; undefined: about nothing. */
export function subjectNamed(transaction: Transaction): string | undefined {
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return undefined;
    case 'upload-document':
    case 'request-signature':
      return transaction.documentId;
    case 'sign-document':
      return transaction.requestId;
  }
}

/** What may be replaced at this place of the ledger. */
export interface Replaceable {
  /** Of the entry that is to be replaced; absent: it was neither replaced nor voided. */
  readonly mark: SupersededItem | undefined;
  /** The entries of the replace resolutions that the same commit names. */
  readonly replaceable: readonly Link[];
}

/**
 * Whether the transaction may replace that entry: a resolution lists exactly it, and it is of the
 * same type, about the same, and was not replaced before.
 */
export function checkAlternative(
  transaction: Transaction,
  { sequence, digest }: Link,
  { mark, replaceable }: Replaceable,
): { readonly outcome: 'permitted'; readonly mark: SupersededItem } | Refused {
  if (mark === undefined || !replaceable.some((link) => sameLink(link, { sequence, digest })))
    return refuse(
      'SUPERSEDES_WITHOUT_RESOLUTION',
      `entry ${sequence} with ${digest} may not be superseded here: only what a resolution of the ` +
        'manner replace lists, in the commit that carries it out',
    );
  const { type } = transaction;
  if (mark.type !== type)
    return refuse(
      'SUPERSEDES_OTHER_TYPE',
      `entry ${sequence} is of the type ${mark.type}, its alternative of the type ${type}; ` +
        'send one of the same type',
    );
  const subject = subjectNamed(transaction);
  if (mark.subject !== subject)
    return refuse(
      'SUPERSEDES_OTHER_SUBJECT',
      `entry ${sequence} is about ${mark.subject}, its alternative about ${subject}; ` +
        'send one about the same',
    );
  if (mark.replacement !== undefined)
    return refuse(
      'ALREADY_SUPERSEDED',
      `entry ${sequence} was replaced with entry ${mark.replacement.sequence}; ` +
        'an entry is replaced once',
    );
  return { outcome: 'permitted', mark };
}
