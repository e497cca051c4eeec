/**
 * Whom this instance neither serves nor calls, whatever else they are: what its file says, and a list
 * that an operator changes while everything runs.
 *
 * 1. Read the list.  Nothing is touched.
 * 2. Replace it, if nobody replaced it meanwhile.  A crash before it leaves the list; one after it
 *    leaves the change, which a repetition finds.
 */
import type { CertificateId } from '../ledger/digest.ts';
import type { Clock } from './ports.ts';

/** One that is denied, by whom, and since when. */
export interface Denial {
  readonly certificateId: CertificateId;
  readonly deniedBy: CertificateId;
  /** ISO 8601, by this instance's clock. */
  readonly deniedAt: string;
}

export interface StoredDenials {
  /** 0 before the first change, then one more with each. */
  readonly version: number;
  readonly denials: readonly Denial[];
}

/** The list as it is kept. Whoever can write to the table itself can change it. */
export interface DenialStore {
  /** Strongly consistent. */
  read(): Promise<StoredDenials>;
  /** `lost-race`: what is stored is not one version older. Read again. */
  replace(next: StoredDenials): Promise<'replaced' | 'lost-race'>;
}

/** A member of the list as it is in force; `inFile` goes only with a deployment. */
export interface DeniedCaller {
  readonly certificateId: string;
  readonly inFile: boolean;
  readonly deniedBy?: CertificateId;
  readonly deniedAt?: string;
}

export type DenialOutcome =
  | { readonly outcome: 'changed' | 'unchanged'; readonly denied: readonly DeniedCaller[] }
  /** More than the list holds. */
  | { readonly outcome: 'full' }
  /** Others changed it again and again meanwhile. */
  | { readonly outcome: 'busy' };

/** In one item of the table, and read by every process again and again. */
export const DENIALS_MAX = 500;

/** How old what is known may be: with a call's own 25 seconds it stays below a minute. */
export const DENIALS_AGE_MS_MAX = 20_000;

const ATTEMPTS_MAX = 5;

export interface DenyListOptions {
  readonly store: DenialStore;
  readonly clock: Pick<Clock, 'now'>;
  /** Certificate ids that the instance's file denies. */
  readonly inFile: ReadonlySet<string>;
}

export class DenyList {
  readonly #store: DenialStore;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #inFile: ReadonlySet<string>;
  #known: { readonly ids: Promise<ReadonlySet<string>>; readonly readAt: number } | undefined;

  constructor({ store, clock, inFile }: DenyListOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#inFile = inFile;
  }

  /**
   * All that are denied, as it was at most 20 seconds ago. Rejects where the list cannot be read:
   * nobody is served on the strength of a list that is older.
   */
  async ids(): Promise<ReadonlySet<string>> {
    const now = this.#clock.now();
    const ageMs = now - (this.#known?.readAt ?? Number.NEGATIVE_INFINITY);
    // A clock that was put back makes nothing younger.
    if (this.#known === undefined || ageMs < 0 || ageMs >= DENIALS_AGE_MS_MAX)
      this.#known = { ids: this.#read(), readAt: now };
    const reading = this.#known;
    try {
      return await reading.ids;
    } catch (error) {
      if (this.#known === reading) this.#known = undefined;
      throw error;
    }
  }

  /** The list as it is now, in the order of the ids. */
  async all(): Promise<readonly DeniedCaller[]> {
    return this.#inForce(await this.#store.read());
  }

  /** Puts a caller on the list, or takes it off. Repeated, nothing changes. */
  async change(
    certificateId: CertificateId,
    denied: boolean,
    operator: CertificateId,
  ): Promise<DenialOutcome> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const stored = await this.#store.read();
      const others = stored.denials.filter((each) => each.certificateId !== certificateId);
      const wasDenied = others.length < stored.denials.length;
      if (wasDenied === denied) return { outcome: 'unchanged', denied: this.#inForce(stored) };
      if (denied && others.length >= DENIALS_MAX) return { outcome: 'full' };
      const deniedAt = new Date(this.#clock.now()).toISOString();
      const added = denied ? [{ certificateId, deniedBy: operator, deniedAt }] : [];
      const next = { version: stored.version + 1, denials: [...others, ...added] };
      if ((await this.#store.replace(next)) === 'lost-race') continue;
      this.#known = undefined;
      return { outcome: 'changed', denied: this.#inForce(next) };
    }
    return { outcome: 'busy' };
  }

  async #read(): Promise<ReadonlySet<string>> {
    const { denials } = await this.#store.read();
    return new Set([...this.#inFile, ...denials.map(({ certificateId }) => certificateId)]);
  }

  #inForce({ denials }: StoredDenials): DeniedCaller[] {
    const listed = new Map<string, Denial>(denials.map((each) => [each.certificateId, each]));
    const ids = [...new Set([...this.#inFile, ...listed.keys()])].sort();
    return ids.map((certificateId) => {
      const { deniedBy, deniedAt } = listed.get(certificateId) ?? {};
      return {
        certificateId,
        inFile: this.#inFile.has(certificateId),
        ...(deniedBy === undefined ? {} : { deniedBy }),
        ...(deniedAt === undefined ? {} : { deniedAt }),
      };
    });
  }
}
