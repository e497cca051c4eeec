import type { Link } from './backlinks.ts';
import { type Digest, digestOf, type Sequence } from './digest.ts';
import type {
  DocumentItem,
  RequestItem,
  RuleItem,
  RuleView,
  SignatureItem,
  StateChange,
  StateKey,
  TransactionItem,
  VersionItem,
} from './state.ts';

/**
 * The state of a ledger of millions of entries in at most 136 bytes an entry: no object is kept but
 * for signing requests that are open, only a record of 108 bytes per sequence and two indexes of
 * sequences. A third of it is what signatures are held against: the SHA-256 of every version.
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
const RECORD_WORDS = 27;

const WORD_BYTES = 4;
const DIGEST_BYTES = 32;
/** Hex digits of the 16 bytes by which a document, a request or a signature is known. */
const NAME_DIGITS = 32;

/** The record that holds whatever is looked for: sequences begin at 1. */
const WANTED = 0;

/** 2^10 records. In chunks, so that growing copies nothing and little is left unused. */
const CHUNK_BITS = 10;
const CHUNK_RECORDS = 1 << CHUNK_BITS;

/** The same memory, as words to compare and as bytes to take hex. */
interface Chunk {
  readonly words: Uint32Array;
  readonly bytes: Buffer;
}

/** Records by sequence. */
class Records {
  readonly #chunks: Chunk[] = [newChunk()];

  /** The words among which the record is, from `startOf` on. */
  words(sequence: number): Uint32Array {
    return (this.#chunks[sequence >>> CHUNK_BITS] as Chunk).words;
  }

  word(sequence: number, word: number): number {
    return this.words(sequence)[startOf(sequence) + word] as number;
  }

  putWord(sequence: number, word: number, value: number): void {
    this.#grown(sequence).words[startOf(sequence) + word] = value;
  }

  putHex(sequence: number, word: number, hex: string): void {
    this.#grown(sequence).bytes.write(hex, (startOf(sequence) + word) * WORD_BYTES, 'hex');
  }

  /** The digest that stands in the record from that word on. */
  digest(sequence: number, word: number): Digest {
    const from = (startOf(sequence) + word) * WORD_BYTES;
    return this.#grown(sequence).bytes.toString('hex', from, from + DIGEST_BYTES) as Digest;
  }

  get bytes(): number {
    return this.#chunks.length * CHUNK_RECORDS * RECORD_WORDS * WORD_BYTES;
  }

  #grown(sequence: number): Chunk {
    const index = sequence >>> CHUNK_BITS;
    while (this.#chunks.length <= index) this.#chunks.push(newChunk());
    return this.#chunks[index] as Chunk;
  }
}

function newChunk(): Chunk {
  const words = new Uint32Array(CHUNK_RECORDS * RECORD_WORDS);
  return { words, bytes: Buffer.from(words.buffer) };
}

/** Where among the words of its chunk a record begins. */
function startOf(sequence: number): number {
  return (sequence & (CHUNK_RECORDS - 1)) * RECORD_WORDS;
}

const SLOTS_FIRST = 1024;
/** Of the slots so much is in use at most: 7.3 to 11 bytes a sequence, few collisions. */
const LOAD_MAX = 0.55;
const GROWTH = 1.5;

/** Sequences by some consecutive words of their records: open addressing, linear probing. */
class SequenceIndex {
  readonly #records: Records;
  readonly #from: number;
  readonly #to: number;
  #slots = new Uint32Array(SLOTS_FIRST);
  #count = 0;

  constructor(records: Records, from: number, to: number) {
    this.#records = records;
    this.#from = from;
    this.#to = to;
  }

  /** The sequence with the same key as the given one, or 0. */
  find(sequence: number): number {
    return this.#slots[this.#slotOf(sequence)] as number;
  }

  /** Puts the sequence in place of the one with the same key, if there is one. */
  put(sequence: number): void {
    if (this.#count >= this.#slots.length * LOAD_MAX) this.#grow();
    const slot = this.#slotOf(sequence);
    if (this.#slots[slot] === 0) this.#count += 1;
    this.#slots[slot] = sequence;
  }

  get bytes(): number {
    return this.#slots.length * WORD_BYTES;
  }

  #grow(): void {
    const full = this.#slots;
    this.#slots = new Uint32Array(Math.floor(full.length * GROWTH));
    for (const sequence of full) if (sequence !== 0) this.#slots[this.#slotOf(sequence)] = sequence;
  }

  /** Where the key of that record is, or is to go. */
  #slotOf(wanted: number): number {
    const size = this.#slots.length;
    for (let slot = this.#mix(wanted) % size; ; slot = slot + 1 === size ? 0 : slot + 1) {
      const sequence = this.#slots[slot] as number;
      if (sequence === 0 || this.#alike(sequence, wanted)) return slot;
    }
  }

  /** Spreads keys over the slots: ids may be consecutive. */
  #mix(sequence: number): number {
    const words = this.#records.words(sequence);
    const start = startOf(sequence);
    let hash = 0;
    for (let word = this.#from; word < this.#to; word += 1) {
      hash = Math.imul(hash ^ (words[start + word] as number), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash >>> 0;
  }

  #alike(a: number, b: number): boolean {
    const [wordsOfA, wordsOfB] = [this.#records.words(a), this.#records.words(b)];
    const [startOfA, startOfB] = [startOf(a), startOf(b)];
    for (let word = this.#from; word < this.#to; word += 1)
      if (wordsOfA[startOfA + word] !== wordsOfB[startOfB + word]) return false;
    return true;
  }
}

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
  #lastTransaction = { id: '', hex: '' };
  #lastName = { name: '', hex: '' };

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
        case 'version': {
          const { entry, contentDigest } = after as VersionItem;
          this.#records.putHex(entry.sequence, CONTENT, contentDigest);
          break;
        }
        case 'request':
          this.#recordRequest(key, after as RequestItem);
          break;
        case 'signature':
          this.#recordName(key, (after as SignatureItem).entry);
      }
    }
  }

  /** Bytes held, but for open requests. */
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
    return {
      entry: this.#link(sequence),
      contentDigest: this.#records.digest(sequence, CONTENT),
    };
  }

  /** Of a request that is signed nothing else is asked. */
  #request(sequence: number): RuleItem | undefined {
    if (sequence === 0) return undefined;
    const open = this.#open.get(sequence);
    return open ?? { signed: this.#link(this.#records.word(sequence, PREVIOUS)) };
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

  #recordRequest(key: StateKey, request: RequestItem): void {
    const { entry, signed } = request;
    if (signed === undefined) {
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
  readonly kind: 'transaction' | 'document' | 'version' | 'request' | 'signature';
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
