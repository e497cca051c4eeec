import type { Link } from './backlinks.ts';
import type { CertificateId } from './digest.ts';

/** A take-back: the lead began its next copy, and may have lost entries that nobody else held. */
export interface KnownTakeBack {
  readonly signer: CertificateId;
  /** The copy in which it was carried out. Absent: nothing shows it here. */
  readonly copy?: number;
}

/** Whether it lies between two copies of the lead that carried it out. */
export function isBetween(
  { signer, copy }: KnownTakeBack,
  lead: string,
  [older, newer]: readonly [number, number],
): boolean {
  const carriedOut = copy ?? newer;
  return signer === lead && older < carriedOut && carriedOut <= newer;
}

/** What whoever rechecks evidence knows beside it: from the registry, or from the same file. */
export interface KnownBeside {
  /** Entries that resolutions named, and which therefore took no effect. */
  readonly voided: readonly Link[];
  readonly takeBacks: readonly KnownTakeBack[];
  /** Whoever was a peer at any time. */
  readonly everPeers: ReadonlySet<CertificateId>;
}

export const NOTHING_BESIDE: KnownBeside = { voided: [], takeBacks: [], everPeers: new Set() };
