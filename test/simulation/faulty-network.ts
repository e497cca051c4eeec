/** What happens to requests between instances: a seed draws which faults there are, and how often. */
import type { PeerAnswer } from '../../shared/registry/peer-transport.ts';
import { type MemoryInstance, type Passing, unreachable } from '../memory-cluster.ts';
import type { Seeded } from './seeded.ts';

const FAULTS = ['lost', 'answer-lost', 'twice', 'late', 'corrupted'] as const;
type Fault = (typeof FAULTS)[number];

export class FaultyNetwork {
  /** How often each fault happened. */
  readonly happened = new Map<string, number>();
  readonly #seeded: Seeded;
  readonly #chances: readonly (readonly [Fault, number])[];
  /** Requests that are still on their way. */
  #late: (() => Promise<unknown>)[] = [];
  #cut: (passing: Passing) => boolean = () => false;
  #isWhole = false;

  constructor(seeded: Seeded) {
    this.#seeded = seeded.fork('network');
    const drawn = FAULTS.filter(() => this.#seeded.happens(0.5));
    this.#chances = drawn.map((fault) => [fault, this.#seeded.fraction() * 0.2]);
  }

  readonly carry = async (
    passing: Passing,
    carry: () => Promise<PeerAnswer>,
  ): Promise<PeerAnswer> => {
    if (this.#isWhole) return carry();
    if (this.#cut(passing)) return unreachable;
    const fault = this.#chances.find(([, chance]) => this.#seeded.happens(chance))?.[0];
    if (fault !== undefined) this.happened.set(fault, (this.happened.get(fault) ?? 0) + 1);
    switch (fault) {
      case undefined:
        return carry();
      case 'lost':
        return unreachable;
      case 'answer-lost':
        await carry();
        return unreachable;
      case 'twice':
        await carry();
        return carry();
      case 'late':
        this.#late.push(carry);
        return unreachable;
      case 'corrupted':
        return this.#corrupt(passing);
    }
  };

  /** One bit of the body is another one. */
  async #corrupt({ from, to, request }: Passing): Promise<PeerAnswer> {
    const body = Uint8Array.from(request.body ?? []);
    const at = this.#seeded.below(body.length);
    if (body.length > 0) body[at] = (body[at] ?? 0) ^ (1 << this.#seeded.below(8));
    return to.answerPeer(from.certificate.certificatePem, {
      ...request,
      ...(request.body === undefined ? {} : { body }),
    });
  }

  /** Some of what is late arrives now, in whatever order. */
  async deliverLate(): Promise<void> {
    const arriving = this.#late.filter(() => this.#seeded.happens(0.3));
    this.#late = this.#late.filter((each) => !arriving.includes(each));
    for (const carry of arriving.reverse()) await carry();
  }

  /** Nobody reaches that one, or it reaches nobody, or both. */
  partition(instance: MemoryInstance): void {
    const way = this.#seeded.below(3);
    this.#cut = ({ from, to }) =>
      (way !== 0 && from === instance) || (way !== 1 && to === instance);
  }

  heal(): void {
    this.#cut = () => false;
  }

  /** Nothing is on its way any more. */
  async arrive(): Promise<void> {
    for (const carry of this.#late.splice(0)) await carry();
  }

  /** From now on everything arrives, once; what was late comes as well. */
  async becomeWhole(): Promise<void> {
    this.#isWhole = true;
    await this.arrive();
  }
}
