/**
 * Every reason for which the ledger's rules refuse something. Codes are stable: programs branch on
 * them, people read `detail`, which says what was wrong, what was expected, and what to do.
 */
export const refusalCodes = [
  // Canonical bytes, protocol section 2.
  'TOO_LARGE',
  'BYTE_ORDER_MARK',
  'NOT_UTF8',
  'TOO_DEEP',
  'NOT_JSON',
  'NOT_CANONICAL',
  'RESERVED_NAME',
  'UNSAFE_NUMBER',
  'LONE_SURROGATE',
  'NUL_CHARACTER',
  'NOT_NFC',
  // Schemas, sections 2 and 3.
  'UNKNOWN_FORMAT',
  'UNKNOWN_MEMBER',
  'SCHEMA_VIOLATION',
  'DETAILS_MISSING',
  'DETAILS_NOT_EXPECTED',
  'DETAILS_DIGEST_DIFFERS',
  // Rules, section 3.
  'REGISTRY_UNKNOWN',
  'NOT_FIRST_ENTRY',
  'LEAD_NOT_FIRST',
  'TRANSACTION_ID_REUSED',
  'VERSION_NOT_NEXT',
  'VERSION_UNKNOWN',
  'REQUEST_ID_REUSED',
  'REQUEST_UNKNOWN',
  'REQUEST_ALREADY_SIGNED',
  'SUPERSEDES_WITHOUT_RESOLUTION',
  'NEW_LEAD_BEHIND',
  'CONTENT_NOT_UPLOADED',
  'CONTENT_SIZE_DIFFERS',
  'PEER_CERTIFICATE_UNKNOWN',
  // Entries and links, section 4.
  'SEQUENCE_NOT_NEXT',
  'REGISTRY_DIFFERS',
  'LEAD_DIFFERS',
  'BACKLINKS_WRONG',
  'CONFIGURATION_LINK_WRONG',
  'SUBJECT_LINK_WRONG',
  'RESOLVES_UNKNOWN',
  'TIMESTAMP_BEFORE_PREVIOUS',
  'TRANSACTION_DIGEST_DIFFERS',
  'COMMIT_NOT_ENDED',
  'CHECKPOINT_DIFFERS',
  'CHECKPOINT_MISSING',
  // Statements, section 2.
  'STATEMENT_MALFORMED',
  'STATEMENT_SIGNER_DIFFERS',
  'STATEMENT_SIGNATURE_WRONG',
  'STATEMENT_REGISTRY_DIFFERS',
  'SIGNER_NO_PEER',
  'REDACTION_DIFFERS',
  // Signatures by people, section 8.
  'KEY_NOT_ALLOWED',
  'SIGNATURE_MALFORMED',
  'SIGNATURE_ALGORITHM_NOT_ALLOWED',
  'SIGNATURE_CRIT_UNKNOWN',
  'SIGNATURE_KEY_DIFFERS',
  'SIGNATURE_CERTIFICATE_MALFORMED',
  'SIGNATURE_SIGD_MALFORMED',
  'SIGNATURE_OBJECT_DIFFERS',
  'SIGNATURE_CONTENT_DIFFERS',
  'SIGNATURE_PURPOSE_DIFFERS',
  'SIGNATURE_LENGTH_WRONG',
  'SIGNATURE_DER_MALFORMED',
  'SIGNATURE_WRONG',
  'SIGNATURE_REPLAYED',
  // Exports and receipts.
  'EXPORT_MALFORMED',
  'RECEIPT_MALFORMED',
  'RECEIPT_CERTIFICATE_REFUSED',
] as const;

export type RefusalCode = (typeof refusalCodes)[number];

/** An expected "no", as a value. */
export interface Refused {
  readonly outcome: 'refused';
  readonly code: RefusalCode;
  readonly detail: string;
}

export function refuse(code: RefusalCode, detail: string): Refused {
  return { outcome: 'refused', code, detail };
}
