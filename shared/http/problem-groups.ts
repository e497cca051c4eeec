/** Codes that belong together: operations name the group instead of its members. */
import type { ProblemCode } from './problem.ts';

/** Bytes that are no canonical JSON: protocol section 2. */
export const CANONICAL_PROBLEMS = [
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
] as const satisfies readonly ProblemCode[];

/** A body that nobody hashes. */
export const JSON_PROBLEMS = [
  'NOT_UTF8',
  'TOO_LARGE',
  'NOT_JSON',
  'UNKNOWN_MEMBER',
  'SCHEMA_VIOLATION',
] as const satisfies readonly ProblemCode[];

/** A body of transactions. */
export const TRANSACTION_PROBLEMS = [
  ...CANONICAL_PROBLEMS,
  'UNKNOWN_FORMAT',
  'UNKNOWN_MEMBER',
  'SCHEMA_VIOLATION',
  'DETAILS_MISSING',
  'DETAILS_NOT_EXPECTED',
  'DETAILS_DIGEST_DIFFERS',
] as const satisfies readonly ProblemCode[];

/** Why an instance appends nothing at all now. */
export const APPENDING_PROBLEMS = [
  'TOO_LARGE',
  'NOT_THE_LEAD',
  'LEAD_NOT_RECONCILED',
  'REGISTRY_IN_CONFLICT',
  'REGISTRY_CLOSED',
  'NOT_RESOLVING',
  'ENTRY_NOT_HELD',
  'TRANSACTION_ID_REUSED',
  'BUSY',
] as const satisfies readonly ProblemCode[];

/** A key, a signature or its header that section 8 does not admit. */
export const SIGNATURE_PROBLEMS = [
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
  'REQUEST_UNKNOWN',
  'REQUEST_ALREADY_SIGNED',
  'REQUEST_SUPERSEDED',
] as const satisfies readonly ProblemCode[];

/** What the rules refuse of a transaction: protocol section 3. */
export const RULE_PROBLEMS = [
  ...APPENDING_PROBLEMS,
  ...SIGNATURE_PROBLEMS,
  'REGISTRY_UNKNOWN',
  'NOT_FIRST_ENTRY',
  'LEAD_NOT_FIRST',
  'COMMIT_NOT_ENDED',
  'VERSION_NOT_NEXT',
  'VERSION_UNKNOWN',
  'REQUEST_ID_REUSED',
  'SUPERSEDES_WITHOUT_RESOLUTION',
  'SUPERSEDES_OTHER_TYPE',
  'SUPERSEDES_OTHER_SUBJECT',
  'ALREADY_SUPERSEDED',
  'VERSION_SUPERSEDED',
  'NEW_LEAD_BEHIND',
  'CONTENT_NOT_UPLOADED',
  'CONTENT_SIZE_DIFFERS',
  'PEER_CERTIFICATE_UNKNOWN',
  'PREDECESSOR_NOT_CLOSED',
] as const satisfies readonly ProblemCode[];

/** What an operator signed, and the instance is to sign as well: protocol section 7. */
export const DECISION_PROBLEMS = [
  'REGISTRY_UNKNOWN',
  'DECISION_DIFFERS',
  'STATEMENT_MALFORMED',
  'STATEMENT_SIGNER_DIFFERS',
  'STATEMENT_SIGNATURE_WRONG',
  'STATEMENT_REGISTRY_DIFFERS',
] as const satisfies readonly ProblemCode[];

/** Whoever asks, whatever for. */
export const CALLER_PROBLEMS = [
  'CLIENT_CERTIFICATE_MISSING',
  'CLIENT_CERTIFICATE_MALFORMED',
  'CLIENT_CERTIFICATE_WRONG_USAGE',
  'CLIENT_CERTIFICATE_UNTRUSTED',
  'CLIENT_CERTIFICATE_NOT_YET_VALID',
  'CLIENT_CERTIFICATE_EXPIRED',
  'CALLER_DENIED',
  'CALLER_NOT_LISTED',
  'ROLE_NOT_ALLOWED',
] as const satisfies readonly ProblemCode[];
