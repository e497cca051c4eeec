import * as z from 'zod';
import { encodeCanonical, parseCanonical } from './canonical.ts';
import type { CertificateId, RegistryId, Sequence } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { type Compact, readDecision, readStatement } from './jws.ts';
import { limits } from './limits.ts';
import { type Redaction, redactionSchema } from './resolution.ts';
import { validate } from './schema.ts';
import { checkDetails, type Details, type ReadTransaction } from './transaction.ts';

/**
 * Details that one instance took out of its copy: protocol section 4. The transaction binds them by
 * digest alone, so nothing else breaks; in their place stands who decided it, and why.
 */

/** The operator's signature and the instance's, over the same payload. */
export interface SignedRedaction {
  readonly statement: Compact;
  readonly decision: Compact;
}

/** The payload of a redaction, to be signed by the operator and by the instance. */
export function redactionOf(parts: Omit<Redaction, 'format' | 'what'>): Redaction {
  return { ...parts, format: 'registry/redaction/v1', what: 'details' };
}

/** Whose details are redacted. */
export interface RedactionPlace {
  readonly registryId: RegistryId;
  readonly sequence: number;
}

/** Reads both signatures and holds them against the entry. Whose instance it is the caller asks. */
export function readRedaction(
  signed: { readonly statement: string; readonly decision: string },
  { registryId, sequence }: RedactionPlace,
): { readonly outcome: 'read'; readonly redaction: Redaction } | Refused {
  const read = readStatement(signed.statement, redactionSchema);
  if (read.outcome === 'refused') return read;
  const decision = readDecision(signed.decision, redactionSchema);
  if (decision.outcome === 'refused') return decision;
  const redaction = read.statement;
  if (redaction.registryId !== registryId)
    return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${redaction.registryId}`);
  if (redaction.sequence !== sequence)
    return refuse(
      'REDACTION_DIFFERS',
      `redacts the details of entry ${redaction.sequence}; expected entry ${sequence}`,
    );
  if (decision.digest !== read.digest)
    return refuse('REDACTION_DIFFERS', 'the operator signed something else than the instance');
  return { outcome: 'read', redaction };
}

/** What stands beside a transaction, as bytes. */
export interface Beside {
  readonly details?: Uint8Array;
  readonly redaction?: { readonly statement: string; readonly decision: string };
}

export type BesideCheck =
  | {
      readonly outcome: 'fits';
      readonly details?: Details;
      readonly redaction?: Redaction;
    }
  | Refused;

/** Holds against a transaction what stands beside it: its details, or their redaction, or neither. */
export function checkBeside(
  transaction: ReadTransaction,
  { details, redaction }: Beside,
  place: RedactionPlace,
): BesideCheck {
  if (redaction === undefined) return checkDetails(transaction, details);
  const { type } = transaction.transaction;
  if (!('detailsDigest' in transaction.transaction) || details !== undefined)
    return refuse(
      'DETAILS_NOT_EXPECTED',
      details === undefined
        ? `${type} has no details that could be redacted`
        : 'details and their redaction exclude each other; send the one that is there',
    );
  const read = readRedaction(redaction, place);
  return read.outcome === 'refused' ? read : { outcome: 'fits', redaction: read.redaction };
}

/** Where details were taken out, by whom. */
export interface RedactedDetails {
  readonly sequence: Sequence;
  /** The instance, a peer at some time, that vouches for the operator. */
  readonly signer: CertificateId;
  readonly decidedBy: CertificateId;
}

/** The redactions of a whole ledger. Whoever redacted must be a peer somewhere in it, or beyond. */
export class RedactionsOfLedger {
  readonly #found: RedactedDetails[] = [];
  readonly #peers: Set<CertificateId>;

  constructor(peersBeyond: readonly CertificateId[] = []) {
    this.#peers = new Set(peersBeyond);
  }

  get found(): readonly RedactedDetails[] {
    return this.#found;
  }

  /** The next entry, with what was checked beside it and the peers that it brings. */
  extend(beside: { readonly redaction?: Redaction }, brought: readonly CertificateId[] = []): void {
    for (const peer of brought) this.#peers.add(peer);
    if (beside.redaction === undefined) return;
    const { sequence, signer, decidedBy } = beside.redaction;
    this.#found.push({ sequence, signer, decidedBy });
  }

  /** The first that a stranger signed. */
  get strange(): RedactedDetails | undefined {
    return this.#found.find(({ signer }) => !this.#peers.has(signer));
  }
}

const lineSchema = z.strictObject({
  decision: z.string(),
  format: z.literal('registry/redacted/v1'),
  statement: z.string(),
});

/** Two statements in base64url, and what stands around them. */
const LINE_BYTES_MAX = 4 * limits.statementBytesMax + 1024;

/** The line of an export in place of the details' line, without a newline. */
export function encodeRedactedLine({ statement, decision }: SignedRedaction): Buffer {
  return encodeCanonical({ decision, format: 'registry/redacted/v1', statement });
}

/** Reads the line; what is in it is still untrusted. */
export function readRedactedLine(
  line: Uint8Array,
):
  | { readonly outcome: 'read'; readonly redaction: Record<'statement' | 'decision', string> }
  | Refused {
  const parsed = parseCanonical(line, LINE_BYTES_MAX);
  if (parsed.outcome === 'refused') return parsed;
  const valid = validate(lineSchema, parsed.value);
  if (valid.outcome === 'refused') return valid;
  const { statement, decision } = valid.value;
  return { outcome: 'read', redaction: { statement, decision } };
}
