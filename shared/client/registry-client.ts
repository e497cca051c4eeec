/**
 * The client of one instance, for applications, operators and auditors; docs/client.md shows it at
 * work. Whatever it reads is verified: see `verified-reads.ts`. Whatever it writes it repeats until
 * it is answered, a bounded number of times, with one transaction id: it is recorded once.
 */
import type { Link } from '../ledger/backlinks.ts';
import type { Acceptance, Resolution, SetAside } from '../ledger/resolution.ts';
import {
  appendFirst,
  appendTo,
  type NewTransaction,
  prepare,
  type RecordedEntry,
  type Repeatable,
  repeatableIn,
} from './appending.ts';
import { type CallOptions, Calls } from './calls.ts';
import { Connection } from './connection.ts';
import type { ContentSource } from './content-source.ts';
import {
  acceptResolution,
  type ClosedRegistry,
  closeAt,
  type Decided,
  type NewResolution,
  type NewSetAside,
  resolveConflicts,
  setCopyAside,
} from './deciding.ts';
import { changeDenied, type DeniedCaller, readDenied } from './denying.ts';
import { peersWithout } from './expelling.ts';
import { introduce, readInstance } from './instances.ts';
import { type LeadElsewhere, Leads } from './leads.ts';
import { invalidArgument, notProven } from './problem.ts';
import type { Profile } from './profile.ts';
import { type FetchedReceipt, recordedEntryOf } from './receipts.ts';
import { redactDetails } from './redacting.ts';
import { defaultRetries, type RetryPolicy } from './retries.ts';
import {
  type GivenSignature,
  type NewSigningRequest,
  newSignature,
  newSigningRequest,
  type PrivateKeySource,
  type SigningInput,
  type SigningOptions,
  signingInputOf,
  signWith,
} from './signing.ts';
import { UnverifiedReads } from './unverified-reads.ts';
import {
  type GivenContent,
  giveContent,
  hashDocument,
  type NewDocument,
  type RecordedDocument,
  recordDocument,
  type SendOptions,
  type UploadOptions,
} from './upload.ts';
import { VerifiedReads } from './verified-reads.ts';
import type { SigningRequest } from './verified-requests.ts';

export interface ClientOptions {
  /** Of one try; 30 seconds unless given. */
  readonly timeoutMs?: number;
  /** In place of single members of the default policy: 5 tries within a minute. */
  readonly retries?: Partial<RetryPolicy>;
  /** Goes on at the lead where an instance answers that it does not lead (421). Not unless given. */
  readonly followLead?: boolean;
  /** Told of every lead that is followed. */
  readonly onLead?: (lead: LeadElsewhere) => void;
}

/** Without a transaction id of one's own a call that is repeated records once more. */
export type WriteOptions = CallOptions & Repeatable;

export interface NewRegistry {
  readonly name: string;
  readonly description?: string;
  /** Certificate ids: the instance that is called, which will lead, then the mirrors. */
  readonly peers: readonly string[];
  /** The registry that this one continues: closed at the instance that is called, at that entry. */
  readonly predecessor?: Link & { readonly registryId: string };
}

export interface RecordedRequest extends RecordedEntry {
  readonly requestId: string;
}

const TIMEOUT_MS = 30_000;

/** Keeps its connections open until `close`. */
export class RegistryClient extends VerifiedReads {
  /** The same reads without any verification, where the instance's word will do. */
  readonly unverified: UnverifiedReads;
  readonly #leads: Leads;

  /** Nothing is connected, and no certificate looked at, before the first call. */
  constructor(profile: Profile, options: ClientOptions = {}) {
    const { timeoutMs = TIMEOUT_MS, retries, followLead = false, onLead } = options;
    const limits = { timeoutMs, retries: { ...defaultRetries, ...retries } };
    const calls = new Calls(new Connection(profile), limits);
    super(calls);
    this.unverified = new UnverifiedReads(calls);
    this.#leads = new Leads(calls, profile, {
      followLead,
      ...(onLead === undefined ? {} : { onLead }),
    });
  }

  /** Origin of the instance. */
  get endpoint(): string {
    return this.calls.connection.endpoint;
  }

  /** Closes all connections; calls under way are cut off. */
  close(): void {
    this.calls.connection.close();
    this.#leads.close();
  }

  /** Makes an instance known by its certificate, so that it can be a peer; its certificate id. */
  introduceInstance(certificatePem: string, options?: CallOptions): Promise<string> {
    return introduce(this.calls, certificatePem, options);
  }

  /** Whom the instance that is called neither serves nor calls: for its operators and auditors. */
  denied(options?: CallOptions): Promise<DeniedCaller[]> {
    return readDenied(this.calls, options);
  }

  /** Denies a certificate id there, or no longer: within 60 seconds. What is denied then. */
  changeDenied(
    certificateId: string,
    denied: boolean,
    options?: CallOptions,
  ): Promise<DeniedCaller[]> {
    return changeDenied(this.calls, { certificateId, denied }, options);
  }

  /** Creates a registry, which the instance that is called leads. */
  async createRegistry(
    { name, description, peers, predecessor }: NewRegistry,
    options: WriteOptions = {},
  ): Promise<RecordedEntry> {
    const transaction = {
      type: 'create-registry',
      ...repeatableIn(options),
      members: { peers, ...(predecessor === undefined ? {} : { predecessor }) },
      details: { name, ...(description === undefined ? {} : { description }) },
    } as const;
    return only(await appendFirst(this.calls, prepare([transaction]), callOf(options)));
  }

  /** The whole new ordered peer list; the first of it leads from the next entry on. */
  async reconfigurePeers(
    registryId: string,
    peers: readonly string[],
    options: WriteOptions = {},
  ): Promise<RecordedEntry> {
    const transaction = {
      type: 'reconfigure-peers',
      ...repeatableIn(options),
      members: { peers },
    } as const;
    return only(await this.append(registryId, [transaction], options));
  }

  /** Appends 1 to 24 transactions together, in order, all or none. */
  async append(
    registryId: string,
    transactions: readonly NewTransaction[],
    options: CallOptions = {},
  ): Promise<RecordedEntry[]> {
    const prepared = prepare(transactions);
    return this.#leads.atLead(registryId, (lead) =>
      appendTo(lead, registryId, prepared, callOf(options)),
    );
  }

  /**
   * Records a version of a document. Bytes that the lead has already do not travel; repeated after
   * an interruption with the same transaction id, it goes on where it can.
   */
  async uploadDocument(
    registryId: string,
    document: NewDocument,
    options: UploadOptions = {},
  ): Promise<RecordedDocument> {
    const hashed = await hashDocument(registryId, document, options);
    return this.#leads.atLead(registryId, (lead) => recordDocument(lead, hashed, options));
  }

  /**
   * Gives this very instance the bytes of a version that it lacks, and records nothing. What it has
   * as they should be does not travel.
   */
  giveContent(
    registryId: string,
    content: ContentSource,
    options: SendOptions = {},
  ): Promise<GivenContent> {
    return giveContent(this.calls, registryId, content, options);
  }

  /** Asks for one signature. */
  async requestSignature(
    registryId: string,
    asked: NewSigningRequest,
    options: WriteOptions = {},
  ): Promise<RecordedRequest> {
    const { requestId, transaction } = newSigningRequest(asked, repeatableIn(options));
    return { ...only(await this.append(registryId, [transaction], options)), requestId };
  }

  /** What is to be signed, built from the proven request. Rejects where it is signed already. */
  async signingInput(
    registryId: string,
    requestId: string,
    options: SigningOptions & CallOptions = {},
  ): Promise<SigningInput> {
    const request = await this.signingRequest(registryId, requestId, callOf(options));
    return signingInputOf(request, options);
  }

  /** Gives a signature that some program made over the signing input. It is verified first. */
  submitSignature(
    registryId: string,
    requestId: string,
    given: GivenSignature,
    options: WriteOptions = {},
  ): Promise<RecordedEntry> {
    return this.#giveSignature(registryId, requestId, () => given, options);
  }

  /** Makes the signature with a key that is at hand, and gives it. */
  signWithKey(
    registryId: string,
    requestId: string,
    key: PrivateKeySource,
    options: SigningOptions & WriteOptions = {},
  ): Promise<RecordedEntry> {
    const sign = (request: SigningRequest) => signWith(request, key, options);
    return this.#giveSignature(registryId, requestId, sign, options);
  }

  async #giveSignature(
    registryId: string,
    requestId: string,
    make: (request: SigningRequest) => GivenSignature,
    options: WriteOptions,
  ): Promise<RecordedEntry> {
    const call = callOf(options);
    const request = await this.signingRequest(registryId, requestId, call);
    const { transactionId } = options;
    if (request.signature !== undefined && transactionId !== undefined) {
      const given = await this.entry(registryId, request.signature.signedBy.sequence, call);
      // An earlier call with this id got through.
      if (given.receipt.transaction.transactionId === transactionId) return recordedEntryOf(given);
    }
    const transaction = newSignature(request, make(request), options);
    return only(await this.append(registryId, [transaction], options));
  }

  /**
   * Decides at the lead how open conflicts are resolved, by the operator whose certificate this
   * client has. Deciding carries nothing out.
   */
  resolve(
    registryId: string,
    decision: NewResolution,
    options?: CallOptions,
  ): Promise<Decided<Resolution>> {
    return this.#leads.atLead(registryId, (lead) =>
      resolveConflicts(lead, registryId, decision, options),
    );
  }

  /** Accepts at this instance, a mirror, a resolution of the lead that is itself the accused. */
  accept(
    registryId: string,
    resolution: string,
    { reason }: { readonly reason: string },
    options?: CallOptions,
  ): Promise<Decided<Acceptance>> {
    return acceptResolution(this.calls, registryId, { resolution, reason }, options);
  }

  /** Begins a new copy at this instance, a mirror whose own copy is wrong. Nothing is deleted. */
  setAside(
    registryId: string,
    setAside: NewSetAside,
    options?: CallOptions,
  ): Promise<Decided<SetAside>> {
    return setCopyAside(this.calls, registryId, setAside, options);
  }

  /** Closes the registry at this instance, for good: nothing is recorded here any more. */
  closeRegistry(registryId: string, options?: CallOptions): Promise<ClosedRegistry> {
    return closeAt(this.calls, registryId, options);
  }

  /**
   * Carries out a resolution: appends the present peer list without these, the offenders. Without
   * any of them it voids what a resolution of the manner replace names, with nothing in its place.
   */
  expel(
    registryId: string,
    { peers }: { readonly peers: readonly string[] },
    options: WriteOptions = {},
  ): Promise<RecordedEntry> {
    return this.#leads.atLead(registryId, async (lead) => {
      const left = await peersWithout(lead, registryId, peers, callOf(options));
      const transaction = {
        type: 'reconfigure-peers',
        ...repeatableIn(options),
        members: { peers: left },
      } as const;
      return only(await appendTo(lead, registryId, prepare([transaction]), callOf(options)));
    });
  }

  /**
   * Takes the details of an entry out of the copy of the instance that is called, by decision of the
   * operator whose certificate this client has. Gives the receipt that proves it. Nothing brings
   * them back.
   */
  async redact(
    registryId: string,
    sequence: number,
    { reason }: { readonly reason: string },
    options?: CallOptions,
  ): Promise<FetchedReceipt> {
    const { certificateId } = await readInstance(this.calls, options);
    const redaction = { registryId, sequence, reason, instance: certificateId };
    await redactDetails(this.calls, redaction, options);
    const receipt = await this.entry(registryId, sequence, options);
    if (receipt.receipt.redaction === undefined)
      throw notProven(`the receipt of entry ${sequence} shows no redaction of its details`);
    return receipt;
  }
}

function callOf({ signal }: CallOptions): CallOptions {
  return signal === undefined ? {} : { signal };
}

function only(entries: readonly RecordedEntry[]): RecordedEntry {
  const [entry] = entries;
  if (entry === undefined) throw invalidArgument('nothing was to be appended');
  return entry;
}
