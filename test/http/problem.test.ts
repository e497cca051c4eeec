import { expect, test } from 'vitest';
import { type ProblemCode, problem } from '../../shared/http/problem.ts';

function isRetryable(code: ProblemCode): boolean {
  return (problem(code, 'a sentence').body as { readonly retryable: boolean }).retryable;
}

test.each<ProblemCode>([
  'BUSY',
  'CONTENT_NOT_HELD',
  'INTERNAL',
  'LEAD_NOT_RECONCILED',
  'NEW_LEAD_BEHIND',
  'STATEMENT_AHEAD',
])('%s, whose text says to wait, is retryable', (code) => {
  expect(isRetryable(code)).toBe(true);
});

test.each<ProblemCode>([
  'REGISTRY_UNKNOWN',
  'ENTRY_UNKNOWN',
  'TRANSACTION_UNKNOWN',
  'DOCUMENT_UNKNOWN',
  'SIGNATURE_REQUEST_UNKNOWN',
  'CERTIFICATE_UNKNOWN',
])('%s is an answer that clients get at once', (code) => {
  expect(isRetryable(code)).toBe(false);
});
