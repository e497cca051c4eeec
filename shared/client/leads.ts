/**
 * Finding the lead: only the lead of a registry appends, every other instance answers 421 and says
 * who leads and where. Whoever answers there must prove that it is that very instance, before a byte
 * of the request is sent again.
 */
import { type CertificateId, isCertificateId } from '../ledger/digest.ts';
import { type CallLimits, Calls } from './calls.ts';
import { Connection } from './connection.ts';
import { RegistryError } from './problem.ts';
import type { Profile } from './profile.ts';

/** The instance that leads a registry, as another one says. */
export interface LeadElsewhere {
  readonly registryId: string;
  readonly lead: CertificateId;
  /** Origin. */
  readonly endpoint: string;
}

export interface LeadOptions {
  /** Whether to go on at the lead; otherwise the call rejects with `NOT_THE_LEAD`. */
  readonly followLead: boolean;
  /** Told of every lead that is followed. */
  readonly onLead?: (lead: LeadElsewhere) => void;
}

/** Instances that name each other would send a client back and forth. */
const HOPS_MAX = 3;

export class Leads {
  readonly #own: Calls;
  readonly #profile: Profile;
  readonly #options: LeadOptions;
  /** By endpoint and certificate id. */
  readonly #elsewhere = new Map<string, Calls>();
  /** Where each registry was appended to last, if not at the own instance. */
  readonly #known = new Map<string, Calls>();

  constructor(own: Calls, profile: Profile, options: LeadOptions) {
    this.#own = own;
    this.#profile = profile;
    this.#options = options;
  }

  /** Does the work at the lead, beginning where the last one was found. */
  async atLead<T>(registryId: string, work: (lead: Calls) => Promise<T>): Promise<T> {
    let calls = this.#known.get(registryId) ?? this.#own;
    for (let hops = 0; ; hops += 1) {
      try {
        return await work(calls);
      } catch (error) {
        // Wherever it was, it may be elsewhere by now.
        this.#known.delete(registryId);
        const lead = leadIn(error, registryId);
        if (lead === undefined || !this.#options.followLead || hops >= HOPS_MAX) throw error;
        this.#options.onLead?.(lead);
        calls = this.#callsTo(lead, this.#own.limits);
        this.#known.set(registryId, calls);
      }
    }
  }

  #callsTo({ lead, endpoint }: LeadElsewhere, limits: CallLimits): Calls {
    const key = `${endpoint} ${lead}`;
    const known = this.#elsewhere.get(key);
    if (known !== undefined) return known;
    const calls = new Calls(new Connection({ ...this.#profile, endpoint }, lead), limits);
    this.#elsewhere.set(key, calls);
    return calls;
  }

  close(): void {
    for (const { connection } of this.#elsewhere.values()) connection.close();
    this.#elsewhere.clear();
    this.#known.clear();
  }
}

/** Whom a 421 names, if it names an instance that can be called. */
function leadIn(error: unknown, registryId: string): LeadElsewhere | undefined {
  if (!(error instanceof RegistryError) || error.code !== 'NOT_THE_LEAD') return undefined;
  const { lead, leadEndpoint } = error.members;
  if (typeof lead !== 'string' || !isCertificateId(lead)) return undefined;
  const url = typeof leadEndpoint === 'string' ? URL.parse(leadEndpoint) : null;
  if (url?.protocol !== 'https:' || url.username !== '') return undefined;
  return { registryId, lead, endpoint: url.origin };
}
