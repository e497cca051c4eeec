import type { Digest } from './digest.ts';

/**
 * Records of 108 bytes by sequence, and indexes of sequences by what stands in their records:
 * memory for millions of entries without an object for any of them.
 */

/** Words of 32 bits of one record: what stands where is the business of whoever keeps them. */
const RECORD_WORDS = 27;

const WORD_BYTES = 4;
const DIGEST_BYTES = 32;
/** 2^10 records. In chunks, so that growing copies nothing and little is left unused. */
const CHUNK_BITS = 10;
const CHUNK_RECORDS = 1 << CHUNK_BITS;

/** The same memory, as words to compare and as bytes to take hex. */
interface Chunk {
  readonly words: Uint32Array;
  readonly bytes: Buffer;
}

/** Records by sequence. */
export class Records {
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
export class SequenceIndex {
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
