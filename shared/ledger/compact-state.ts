import type { Link } from './backlinks.ts';
import { digestOf, type Sequence } from './digest.ts';
import { Records, SequenceIndex } from './sequence-records.ts';
import type {
  DocumentItem,
  RequestItem,
  RuleItem,
  RuleView,
  SignatureItem,
  StateChange,
  StateKey,
  SupersededItem,
  TransactionItem,
  VersionItem,
} from './state.ts';

/**
 * The state of a ledger of millions of entries in at most 136 bytes an entry: no object is kept but
 * for signing requests that are open and for what was superseded, only a record of 108 bytes per
 * sequence and two indexes of sequences. A third of it is what signatures are held against: the
 * SHA-256 of every version.
 */

/** Where in a record stands what the entry's transaction put into the state, in words of 32 bits. */
const DIGEST = 0;
const TRANSACTION = 8;
/** Of the document, the request or the signature: an entry puts at most one into the state. */
const NAME = 12;
const VERSION = 16;
/** Of a version the sequence of the one before, of a request that of its signature; or 0. */
const PREVIOUS = 17;
/** The sequence of a much older version: see `#versionAt`. */
const JUMP = 18;
const CONTENT = 19;

/** Hex digits of the 16 bytes by which a document, a request or a signature is known. */
const NAME_DIGITS = 32;

/** The record that holds whatever is looked for: sequences begin at 1. */
const WANTED = 0;

/**
 * A state to verify with. Its view answers what the rules read; a document, a request and a
 * signature are known by 16 bytes of a SHA-256, of which it takes 2^64 tries to find two alike.
 */
export class CompactState {
  readonly #records = new Records();
  readonly #transactions = new SequenceIndex(this.#records, TRANSACTION, NAME);
  readonly #names = new SequenceIndex(this.#records, NAME, VERSION);
  /** Open signing requests by sequence: few at any time, and large with their keys. */
  readonly #open = new Map<number, RequestItem>();
  /** Few, for people decide on each. */
  readonly #superseded = new Map<StateKey, SupersededItem>();
  readonly #supersededVersions = new Map<number, Link>();
  readonly #mayBeVoided: (signature: Link) => boolean;
  #lastTransaction = { id: '', hex: '' };
  #lastName = { name: '', hex: '' };

  /** A request whose signature may be voided later on is kept whole, for it is open again then. */
  constructor(mayBeVoided: (signature: Link) => boolean = () => false) {
    this.#mayBeVoided = mayBeVoided;
  }

  readonly view: RuleView = (key) => {
    const { kind, id, version } = partsOf(key);
    switch (kind) {
      case 'transaction':
        return this.#transaction(id);
      case 'document':
        return this.#document(this.#named(key));
      case 'version':
        return this.#version(this.#named(`document#${id}`), version);
      case 'request':
        return this.#request(this.#named(key));
      case 'signature':
        return this.#signature(this.#named(key));
      case 'superseded':
        return this.#superseded.get(key);
    }
  };

  /** Takes over what an accepted transaction changes. */
  record(changes: readonly StateChange[]): void {
    for (const { key, before, after } of changes) {
      const { kind, id } = partsOf(key);
      switch (kind) {
        case 'transaction':
          this.#recordTransaction(id, after as TransactionItem);
          break;
        case 'document':
          this.#recordDocument(key, before as DocumentItem | undefined, after as DocumentItem);
          break;
        case 'version':
          this.#recordVersion(after as VersionItem);
          break;
        case 'request':
          this.#recordRequest(key, after as RequestItem);
          break;
        case 'signature':
          this.#recordName(key, (after as SignatureItem).entry);
          break;
        case 'superseded':
          this.#superseded.set(key, after as SupersededItem);
      }
    }
  }

  /** Bytes held, but for open requests and what was superseded. */
  get bytes(): number {
    return this.#records.bytes + this.#transactions.bytes + this.#names.bytes;
  }

  #transaction(id: string): RuleItem | undefined {
    this.#records.putHex(WANTED, TRANSACTION, this.#hexOfTransaction(id));
    const sequence = this.#transactions.find(WANTED);
    return sequence === 0 ? undefined : { sequence };
  }

  #document(newest: number): RuleItem | undefined {
    if (newest === 0) return undefined;
    return { version: this.#records.word(newest, VERSION), entry: this.#link(newest) };
  }

  #version(newest: number, version: number): RuleItem | undefined {
    const sequence = this.#versionAt(newest, version);
    if (sequence === 0) return undefined;
    const superseded = this.#supersededVersions.get(sequence);
    return {
      entry: this.#link(sequence),
      contentDigest: this.#records.digest(sequence, CONTENT),
      ...(superseded === undefined ? {} : { superseded }),
    };
  }

  /** Of a request that is signed nothing else is asked. */
  #request(sequence: number): RuleItem | undefined {
    if (sequence === 0) return undefined;
    const whole = this.#open.get(sequence);
    if (whole !== undefined) return whole;
    const signed = this.#link(this.#records.word(sequence, PREVIOUS));
    return { entry: this.#link(sequence), signed };
  }

  #signature(sequence: number): RuleItem | undefined {
    return sequence === 0 ? undefined : { entry: this.#link(sequence) };
  }

  /**
   * Back from the newest version of a document to the wanted one, 0 where there is none: by the
   * jump wherever it does not overshoot. The jumps are those of a skew-binary list, so the way is
   * logarithmic, however many versions somebody made.
   */
  #versionAt(newest: number, version: number): number {
    const records = this.#records;
    let sequence = newest;
    while (sequence !== 0 && records.word(sequence, VERSION) > version) {
      const jump = records.word(sequence, JUMP);
      const fits = jump !== 0 && records.word(jump, VERSION) >= version;
      sequence = fits ? jump : records.word(sequence, PREVIOUS);
    }
    return sequence !== 0 && records.word(sequence, VERSION) === version ? sequence : 0;
  }

  #recordTransaction(id: string, { sequence }: TransactionItem): void {
    this.#records.putHex(sequence, TRANSACTION, this.#hexOfTransaction(id));
    this.#transactions.put(sequence);
  }

  #recordDocument(key: StateKey, before: DocumentItem | undefined, after: DocumentItem): void {
    const { version, entry } = after;
    const previous = before?.entry.sequence ?? 0;
    this.#records.putWord(entry.sequence, VERSION, version);
    this.#records.putWord(entry.sequence, PREVIOUS, previous);
    this.#records.putWord(entry.sequence, JUMP, this.#jumpOver(previous));
    this.#recordName(key, entry);
  }

  /** As far back again as the version before jumps, where its two jumps are equally long. */
  #jumpOver(previous: number): number {
    const records = this.#records;
    const jump = records.word(previous, JUMP);
    const further = records.word(jump, JUMP);
    const length = records.word(previous, VERSION) - records.word(jump, VERSION);
    const lengthBefore = records.word(jump, VERSION) - records.word(further, VERSION);
    return previous !== 0 && length === lengthBefore ? further : previous;
  }

  #recordVersion({ entry, contentDigest, superseded }: VersionItem): void {
    this.#records.putHex(entry.sequence, CONTENT, contentDigest);
    if (superseded !== undefined) this.#supersededVersions.set(entry.sequence, superseded);
  }

  #recordRequest(key: StateKey, request: RequestItem): void {
    const { entry, signed } = request;
    if (signed === undefined || this.#mayBeVoided(signed)) {
      this.#open.set(entry.sequence, request);
      this.#recordName(key, entry);
    } else {
      this.#open.delete(entry.sequence);
      this.#records.putWord(entry.sequence, PREVIOUS, signed.sequence);
    }
  }

  #recordName(key: StateKey, { sequence, digest }: Link): void {
    this.#records.putHex(sequence, DIGEST, digest);
    this.#records.putHex(sequence, NAME, this.#hexOfName(key));
    this.#names.put(sequence);
  }

  /** The sequence of what is known by the name, or 0. */
  #named(name: string): number {
    this.#records.putHex(WANTED, NAME, this.#hexOfName(name));
    return this.#names.find(WANTED);
  }

  #link(sequence: number): Link {
    return { digest: this.#records.digest(sequence, DIGEST), sequence: sequence as Sequence };
  }

  /** One entry asks for its transaction and its document several times. */
  #hexOfTransaction(id: string): string {
    if (this.#lastTransaction.id !== id)
      this.#lastTransaction = { id, hex: id.replaceAll('-', '') };
    return this.#lastTransaction.hex;
  }

  #hexOfName(name: string): string {
    if (this.#lastName.name !== name)
      this.#lastName = { name, hex: digestOf(name).slice(0, NAME_DIGITS) };
    return this.#lastName.hex;
  }
}

interface KeyParts {
  readonly kind: 'transaction' | 'document' | 'version' | 'request' | 'signature' | 'superseded';
  readonly id: string;
  /** Of the kind version; else 0. */
  readonly version: number;
}

/** The parts of a key as `state.ts` makes them: no id holds the character between them. */
function partsOf(key: StateKey): KeyParts {
  const afterKind = key.indexOf('#');
  const kind = key.slice(0, afterKind) as KeyParts['kind'];
  if (kind !== 'version') return { kind, id: key.slice(afterKind + 1), version: 0 };
  const afterId = key.indexOf('#', afterKind + 1);
  return {
    kind,
    id: key.slice(afterKind + 1, afterId),
    version: Number(key.slice(afterId + 1)),
  };
}
