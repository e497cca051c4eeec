import type { Link } from './backlinks.ts';
import { type Digest, digestOf, type Sequence } from './digest.ts';
import type {
  DocumentItem,
  RuleItem,
  RuleView,
  StateChange,
  StateKey,
  TransactionItem,
} from './state.ts';

/**
 * The state of a ledger of millions of entries in at most 100 bytes an entry: no object is kept,
 * only a record of 72 bytes per sequence and two indexes of sequences.
 */

/** Where in a record stands what the entry's transaction put into the state, in words of 32 bits. */
const DIGEST = 0;
const TRANSACTION = 8;
const DOCUMENT = 12;
const VERSION = 16;
/** The sequence of the version before, or 0. */
const PREVIOUS = 17;
const RECORD_WORDS = 18;

const WORD_BYTES = 4;
const DIGEST_BYTES = 32;
/** Hex digits of the 16 bytes by which a document is known. */
const DOCUMENT_DIGITS = 32;

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

  digest(sequence: number): Digest {
    const from = (startOf(sequence) + DIGEST) * WORD_BYTES;
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
 * A state to verify with. Its view answers what the rules read; a document is known by 16 bytes of
 * the SHA-256 of its id, of which it takes 2^64 tries to find two alike.
 */
export class CompactState {
  readonly #records = new Records();
  readonly #transactions = new SequenceIndex(this.#records, TRANSACTION, DOCUMENT);
  readonly #documents = new SequenceIndex(this.#records, DOCUMENT, VERSION);
  #lastTransaction = { id: '', hex: '' };
  #lastDocument = { id: '', hex: '' };

  readonly view: RuleView = (key) => {
    const { kind, id, version } = partsOf(key);
    if (kind === 'transaction') return this.#transaction(id);
    this.#records.putHex(WANTED, DOCUMENT, this.#hexOfDocument(id));
    const newest = this.#documents.find(WANTED);
    if (kind === 'document') return newest === 0 ? undefined : this.#document(newest);
    const sequence = this.#sequenceOf(newest, version);
    return sequence === 0 ? undefined : { entry: this.#link(sequence) };
  };

  /** Takes over what an accepted transaction changes. */
  record(changes: readonly StateChange[]): void {
    for (const { key, before, after } of changes) {
      const { kind, id } = partsOf(key);
      if (kind === 'transaction') {
        const { sequence } = after as TransactionItem;
        this.#records.putHex(sequence, TRANSACTION, this.#hexOfTransaction(id));
        this.#transactions.put(sequence);
      } else if (kind === 'document') {
        // The version item, which comes along, says nothing more.
        const { version, entry } = after as DocumentItem;
        const previous = (before as DocumentItem | undefined)?.entry.sequence ?? 0;
        this.#records.putHex(entry.sequence, DIGEST, entry.digest);
        this.#records.putHex(entry.sequence, DOCUMENT, this.#hexOfDocument(id));
        this.#records.putWord(entry.sequence, VERSION, version);
        this.#records.putWord(entry.sequence, PREVIOUS, previous);
        this.#documents.put(entry.sequence);
      }
    }
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#records.bytes + this.#transactions.bytes + this.#documents.bytes;
  }

  #transaction(id: string): RuleItem | undefined {
    this.#records.putHex(WANTED, TRANSACTION, this.#hexOfTransaction(id));
    const sequence = this.#transactions.find(WANTED);
    return sequence === 0 ? undefined : { sequence };
  }

  #document(newest: number): RuleItem {
    return { version: this.#records.word(newest, VERSION), entry: this.#link(newest) };
  }

  /** Back from the newest version of a document to the wanted one; 0 where there is none. */
  #sequenceOf(newest: number, version: number): number {
    let sequence = newest;
    while (sequence !== 0 && this.#records.word(sequence, VERSION) !== version)
      sequence = this.#records.word(sequence, PREVIOUS);
    return sequence;
  }

  #link(sequence: number): Link {
    return { digest: this.#records.digest(sequence), sequence: sequence as Sequence };
  }

  /** One entry asks for its transaction and its document several times. */
  #hexOfTransaction(id: string): string {
    if (this.#lastTransaction.id !== id)
      this.#lastTransaction = { id, hex: id.replaceAll('-', '') };
    return this.#lastTransaction.hex;
  }

  #hexOfDocument(id: string): string {
    if (this.#lastDocument.id !== id)
      this.#lastDocument = { id, hex: digestOf(id).slice(0, DOCUMENT_DIGITS) };
    return this.#lastDocument.hex;
  }
}

interface KeyParts {
  readonly kind: 'transaction' | 'document' | 'version';
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
