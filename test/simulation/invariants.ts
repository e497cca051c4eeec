/**
 * What must hold whatever fails. `observe` looks after every step, `atRest` once everything has healed.
 * Each breach names the rule that it breaks.
 */
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { readTransaction } from '../../shared/ledger/transaction.ts';
import type { Head, StoredEntry } from '../../shared/registry/ports.ts';
import type { MemoryInstance } from '../memory-cluster.ts';

/** An append that was answered, or whose answer never came. */
export interface Asked {
  readonly transactionId: string;
  /** Undefined: nobody knows what became of it. */
  recorded?: { readonly sequence: number; readonly digest: string };
}

interface Copy {
  readonly digests: string[];
}

export class Invariants {
  readonly #copies = new Map<string, Copy>();
  /** By sequence and lead's copy, what its checkpoints say. */
  readonly #checkpoints = new Map<string, string>();
  /** By instance and copy, where the head stood when a conflict was open and nothing decided. */
  readonly #blocked = new Map<string, number>();
  readonly #finals = new Map<string, string>();
  readonly #registryId: RegistryId;
  readonly #isLeadHonest: boolean;

  constructor(registryId: RegistryId, { isLeadHonest }: { readonly isLeadHonest: boolean }) {
    this.#registryId = registryId;
    this.#isLeadHonest = isLeadHonest;
  }

  /** After every step, of every instance. */
  async observe(instances: readonly MemoryInstance[]): Promise<void> {
    const held = new Map<number, [string, string]>();
    for (const instance of instances) {
      const head = await instance.known.head(this.#registryId);
      if (head === undefined) continue;
      const copy = await this.#observeCopy(instance, head);
      for (const [index, digest] of copy.digests.entries()) {
        const [other, name] = held.get(index) ?? [digest, instance.name];
        // I-2: with an honest lead all copies agree.
        if (this.#isLeadHonest && other !== digest)
          throw breach('I-2', `entry ${index + 1} differs between ${name} and ${instance.name}`);
        held.set(index, [digest, instance.name]);
      }
      if (instance.known.breaches.length > 0)
        throw breach('ports', `${instance.name}: ${instance.known.breaches.join('; ')}`);
    }
  }

  /** Its store is an older one now, so that its copy may be shorter. */
  restored({ name }: MemoryInstance, { copy }: Head): void {
    this.#copies.delete(`${name} ${copy}`);
  }

  async #observeCopy(instance: MemoryInstance, head: Head): Promise<Copy> {
    const key = `${instance.name} ${head.copy}`;
    const before = this.#copies.get(key) ?? { digests: [] };
    const digests: string[] = [];
    for (const stored of await this.#entries(instance, head.copy, head.sequence)) {
      digests.push(stored.digest);
      this.#observeCheckpoint(instance, stored);
    }
    // I-11: nothing is appended while a conflict is open here that nobody has decided.
    const blocked = this.#blocked.get(key);
    const isBlocked = head.openConflicts.length > 0 && head.resolution === undefined;
    if (blocked !== undefined && isBlocked && blocked < head.sequence)
      throw breach('I-11', `${instance.name} took entry ${head.sequence} while it was blocked`);
    if (isBlocked) this.#blocked.set(key, head.sequence);
    else this.#blocked.delete(key);
    // I-1: entries 1 to n, no gap, never shorter, and none changes.
    if (digests.length !== head.sequence || digests.at(-1) !== head.digest)
      throw breach('I-1', `${instance.name} holds ${digests.length} of ${head.sequence} entries`);
    if (before.digests.some((digest, index) => digests[index] !== digest))
      throw breach('I-1', `the copy ${head.copy} of ${instance.name} has changed or is shorter`);
    const copy = { digests };
    this.#copies.set(key, copy);
    return copy;
  }

  /** I-8: an honest lead signs one digest per sequence and copy. */
  #observeCheckpoint(instance: MemoryInstance, { checkpoint }: StoredEntry): void {
    if (checkpoint === undefined || !this.#isLeadHonest) return;
    const said = payloadOf(checkpoint) as {
      readonly signer: string;
      readonly sequence: number;
      readonly copy: number;
      readonly digest: string;
    };
    const place = `${said.signer} ${said.sequence} ${said.copy}`;
    const known = this.#checkpoints.get(place) ?? said.digest;
    if (known !== said.digest)
      throw breach('I-8', `${instance.name} holds another checkpoint of entry ${said.sequence}`);
    this.#checkpoints.set(place, known);
  }

  /**
   * I-10: a confirmation that leaves an instance is over entries, and bytes, that it has.
   * Called with each one on its way.
   */
  async confirmed(instance: MemoryInstance, statement: string): Promise<void> {
    const { sequence, digest, copy } = payloadOf(statement as never) as {
      readonly sequence: number;
      readonly digest: string;
      readonly copy: number;
    };
    const entries = await this.#entries(instance, copy, sequence);
    if (entries.length !== sequence || entries.at(-1)?.digest !== digest)
      throw breach('I-10', `${instance.name} confirms entry ${sequence}, which it does not hold`);
    for (const stored of entries) await this.#expectBytes(instance, stored);
  }

  async #entries({ known }: MemoryInstance, copy: number, through: number): Promise<StoredEntry[]> {
    const found: StoredEntry[] = [];
    while (found.length < through) {
      const range = { from: found.length + 1, count: Math.min(100, through - found.length) };
      const page = await known.entries(this.#registryId, copy, range);
      if (page.length === 0) return found;
      found.push(...page);
    }
    return found;
  }

  async #expectBytes(instance: MemoryInstance, stored: StoredEntry): Promise<void> {
    const read = readTransaction(stored.transaction);
    if (read.outcome !== 'read' || read.transaction.type !== 'upload-document') return;
    const { contentDigest, size } = read.transaction;
    if ((await instance.blobs.sizeOf(contentDigest)) !== size)
      throw breach('I-10', `${instance.name} confirms entry ${stored.sequence} without its bytes`);
  }

  /** I-9 and I-18: what was final stays so, with the same digest. */
  async observeFinality(instance: MemoryInstance, sequence: number): Promise<void> {
    const { status, digest } = await instance.status(this.#registryId, sequence);
    // A fault kept it from answering.
    if (status?.status === undefined) return;
    const place = `${instance.name} ${sequence}`;
    const before = this.#finals.get(place);
    const isFinal = status.status.startsWith('final');
    if (before !== undefined && !(isFinal && before === digest))
      throw breach('I-18', `entry ${sequence} was final at ${instance.name}: ${status.status} now`);
    if (isFinal) this.#finals.set(place, digest);
  }

  /** I-3 and I-4: every answer is true, and whatever nobody knows happened once or never. */
  async expectAnswersTrue(instance: MemoryInstance, asked: readonly Asked[]): Promise<void> {
    const found = new Map<string, { readonly sequence: number; readonly digest: string }>();
    const head = await instance.known.head(this.#registryId);
    const entries = await this.#entries(instance, head?.copy ?? 1, head?.sequence ?? 0);
    for (const { transactionId, sequence, digest } of entries) {
      if (found.has(transactionId)) throw breach('I-4', `${transactionId} stands there twice`);
      found.set(transactionId, { sequence, digest });
    }
    for (const { transactionId, recorded } of asked) {
      if (recorded === undefined) continue;
      const there = found.get(transactionId);
      if (there?.sequence !== recorded.sequence || there.digest !== recorded.digest)
        throw breach('I-3', `entry ${recorded.sequence} was answered; ${instance.name} lacks it`);
    }
  }
}

function breach(rule: string, what: string): Error {
  return new Error(`${rule}: ${what}`);
}
