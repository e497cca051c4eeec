import type { Link } from './backlinks.ts';
import { type Digest, digestOf, type Sequence } from './digest.ts';
import type { DocumentItem, RuleView, StateChange, TransactionItem, VersionItem } from './state.ts';

/**
 * The state of a ledger of millions of entries in at most 100 bytes an entry: no object is kept,
 * only 17 words of 32 bits per sequence and three indexes of sequences.
 */

/** Words of one record: what the entry's transaction put into the state. */
const DIGEST = 0;
const TRANSACTION = 8;
const DOCUMENT = 12;
const VERSION = 16;
const RECORD_WORDS = 17;
const RECORDS_PER_CHUNK = 4096;

/** Records by sequence. Chunks: growing copies nothing. */
class Records {
  readonly #chunks: Uint32Array[] = [];

  word(sequence: number, word: number): number {
    const chunk = this.#chunks[Math.floor((sequence - 1) / RECORDS_PER_CHUNK)] as Uint32Array;
    return chunk[((sequence - 1) % RECORDS_PER_CHUNK) * RECORD_WORDS + word] as number;
  }

  put(sequence: number, word: number, words: ArrayLike<number>): void {
    const index = Math.floor((sequence - 1) / RECORDS_PER_CHUNK);
    while (this.#chunks.length <= index)
      this.#chunks.push(new Uint32Array(RECORDS_PER_CHUNK * RECORD_WORDS));
    const chunk = this.#chunks[index] as Uint32Array;
    chunk.set(words, ((sequence - 1) % RECORDS_PER_CHUNK) * RECORD_WORDS + word);
  }

  get bytes(): number {
    return this.#chunks.length * RECORDS_PER_CHUNK * RECORD_WORDS * 4;
  }
}

const SLOTS_FIRST = 1024;
/** Slots for each sequence held, at least: 8 to 5.3 bytes a sequence, few collisions. */
const SPARSENESS = 4 / 3;
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

  /** The sequence whose record holds the key, or 0. */
  find(key: ArrayLike<number>): number {
    return this.#slots[this.#slotOf(key)] as number;
  }

  /** The sequence, whose record holds the key already, in place of the former one of that key. */
  put(key: ArrayLike<number>, sequence: number): void {
    if ((this.#count + 1) * SPARSENESS > this.#slots.length) this.#grow();
    const slot = this.#slotOf(key);
    if (this.#slots[slot] === 0) this.#count += 1;
    this.#slots[slot] = sequence;
  }

  get bytes(): number {
    return this.#slots.length * 4;
  }

  #grow(): void {
    const full = this.#slots;
    this.#slots = new Uint32Array(Math.floor(full.length * GROWTH));
    const key = new Uint32Array(this.#to - this.#from);
    for (const sequence of full) {
      if (sequence === 0) continue;
      for (let word = 0; word < key.length; word += 1)
        key[word] = this.#records.word(sequence, this.#from + word);
      this.#slots[this.#slotOf(key)] = sequence;
    }
  }

  /** Where the key is, or is to go. */
  #slotOf(key: ArrayLike<number>): number {
    const size = this.#slots.length;
    for (let slot = mix(key) % size; ; slot = slot + 1 === size ? 0 : slot + 1) {
      const sequence = this.#slots[slot] as number;
      if (sequence === 0 || this.#holds(sequence, key)) return slot;
    }
  }

  #holds(sequence: number, key: ArrayLike<number>): boolean {
    for (let word = 0; word < key.length; word += 1)
      if (this.#records.word(sequence, this.#from + word) !== key[word]) return false;
    return true;
  }
}

/** Spreads keys over the slots: ids may be consecutive. */
function mix(key: ArrayLike<number>): number {
  let hash = 0;
  for (let word = 0; word < key.length; word += 1) {
    hash = Math.imul(hash ^ (key[word] as number), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/**
 * A state to verify with. Its view answers what the rules read; a document is known by 16 bytes of
 * the SHA-256 of its id, of which it takes 2^64 tries to find two alike.
 */
export class CompactState {
  readonly #records = new Records();
  readonly #transactions = new SequenceIndex(this.#records, TRANSACTION, DOCUMENT);
  readonly #documents = new SequenceIndex(this.#records, DOCUMENT, VERSION);
  readonly #versions = new SequenceIndex(this.#records, DOCUMENT, RECORD_WORDS);
  #lastDocument: { readonly id: string; readonly words: Uint32Array } | undefined;

  readonly view: RuleView = (key) => {
    const [kind, id = '', version] = key.split('#');
    if (kind === 'transaction') {
      const sequence = this.#transactions.find(wordsOfUuid(id));
      return sequence === 0 ? undefined : { sequence };
    }
    const document = this.#wordsOfDocument(id);
    if (version === undefined) return this.#newestVersion(this.#documents.find(document));
    const sequence = this.#versions.find([...document, Number(version)]);
    return sequence === 0 ? undefined : { entry: this.#link(sequence) };
  };

  /** Takes over what an accepted transaction changes. */
  record(changes: readonly StateChange[]): void {
    for (const { key, after } of changes) {
      const [kind, id = '', version] = key.split('#');
      if (kind === 'transaction') {
        const { sequence } = after as TransactionItem;
        const words = wordsOfUuid(id);
        this.#records.put(sequence, TRANSACTION, words);
        this.#transactions.put(words, sequence);
        continue;
      }
      const { sequence, digest } = (after as DocumentItem | VersionItem).entry;
      const document = this.#wordsOfDocument(id);
      this.#records.put(sequence, DIGEST, wordsOfHex(digest));
      this.#records.put(sequence, DOCUMENT, document);
      if (version === undefined) {
        this.#records.put(sequence, VERSION, [(after as DocumentItem).version]);
        this.#documents.put(document, sequence);
      } else {
        this.#records.put(sequence, VERSION, [Number(version)]);
        this.#versions.put([...document, Number(version)], sequence);
      }
    }
  }

  /** Bytes held. */
  get bytes(): number {
    const indexes = [this.#transactions, this.#documents, this.#versions];
    return indexes.reduce((sum, index) => sum + index.bytes, this.#records.bytes);
  }

  #newestVersion(sequence: number): DocumentItem | undefined {
    if (sequence === 0) return undefined;
    return { version: this.#records.word(sequence, VERSION), entry: this.#link(sequence) };
  }

  #link(sequence: number): Link {
    let digest = '';
    for (let word = DIGEST; word < TRANSACTION; word += 1)
      digest += this.#records.word(sequence, word).toString(16).padStart(8, '0');
    return { digest: digest as Digest, sequence: sequence as Sequence };
  }

  /** One entry asks for its document several times. */
  #wordsOfDocument(id: string): Uint32Array {
    if (this.#lastDocument?.id !== id)
      this.#lastDocument = { id, words: wordsOfHex(digestOf(id).slice(0, 32)) };
    return this.#lastDocument.words;
  }
}

function wordsOfUuid(uuid: string): Uint32Array {
  return wordsOfHex(uuid.replaceAll('-', ''));
}

function wordsOfHex(hex: string): Uint32Array {
  const words = new Uint32Array(hex.length / 8);
  for (let word = 0; word < words.length; word += 1)
    words[word] = Number.parseInt(hex.slice(word * 8, word * 8 + 8), 16);
  return words;
}
