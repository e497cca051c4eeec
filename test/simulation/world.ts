/**
 * One run: a registry on a cluster in memory, with the real handlers, while a seed draws what is asked
 * and what fails. Rules are looked at after every step; then everything heals, and must come to rest
 * with every entry final everywhere.
 */
import { randomUUID } from 'node:crypto';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { readMessage, schemas } from '../../shared/registry/messages.ts';
import type { Head } from '../../shared/registry/ports.ts';
import {
  MemoryCluster,
  type MemoryInstance,
  one,
  type Passing,
  salt,
  uploadDraft,
} from '../memory-cluster.ts';
import { expectAllFinal, headOf } from '../scenarios/conflict-swarm.ts';
import { FaultyNetwork } from './faulty-network.ts';
import { type Asked, Invariants } from './invariants.ts';
import { Seeded } from './seeded.ts';

const NAMES = ['client', 'architect', 'contractor', 'engineer'] as const;
const WRITES = [
  'commit',
  'putConfirmation',
  'putCursor',
  'putProgress',
  'settle',
  'keep',
  'putInvitation',
] as const;
const READS = ['head', 'read', 'entries', 'statementsAfter', 'cursor', 'progress'] as const;

/** Something that people have to resolve. */
export interface Dispute {
  /** False: it signs two stories, so copies differ until people have decided. */
  readonly isLeadHonest: boolean;
  /** Tried before each step until it has happened. */
  cause(world: World): Promise<boolean>;
  /** What people do about it before each step from then on. */
  proceed?(world: World): Promise<void>;
  /** After everything has healed: it was found everywhere, and the operators resolve it. */
  resolve(world: World): Promise<void>;
}

export interface Ran {
  readonly entries: number;
  readonly happened: ReadonlyMap<string, number>;
}

export class World {
  readonly cluster = new MemoryCluster();
  readonly seeded: Seeded;
  readonly #network: FaultyNetwork;
  readonly #dispute: Dispute | undefined;
  readonly #happened = new Map<string, number>();
  readonly #asked: Asked[] = [];
  #instances: readonly MemoryInstance[] = [];
  #peers: readonly MemoryInstance[] = [];
  #registryId = '' as RegistryId;
  #invariants: Invariants | undefined;
  #documents = 0;
  readonly #repeatable: (() => Promise<void>)[] = [];

  constructor(seed: string, dispute?: Dispute) {
    this.seeded = new Seeded(seed);
    this.#network = new FaultyNetwork(this.seeded);
    this.#dispute = dispute;
  }

  get registryId(): RegistryId {
    return this.#registryId;
  }

  /** Of the list in force; the first leads. */
  get peers(): readonly MemoryInstance[] {
    return this.#peers;
  }

  /** Rejects with the rule that was broken, or with what did not come to rest. */
  async run(steps: number): Promise<Ran> {
    const instances: MemoryInstance[] = [];
    for (const name of NAMES) instances.push(await this.cluster.add(name));
    this.#instances = instances;
    this.#peers = instances.slice(0, 3);
    const [client, ...mirrors] = this.#peers as [MemoryInstance, ...MemoryInstance[]];
    this.#registryId = await client.create(mirrors);
    const invariants = new Invariants(this.#registryId, {
      isLeadHonest: this.#dispute?.isLeadHonest ?? true,
    });
    this.#invariants = invariants;
    this.cluster.network = async (passing, carry) => {
      const answer = await this.#network.carry(passing, carry);
      await this.#watch(invariants, passing, answer);
      return answer;
    };
    let disputed = false;
    for (let step = 0; step < steps; step += 1) {
      if (disputed) await this.#dispute?.proceed?.(this);
      else if (step > steps / 4) disputed = (await this.#dispute?.cause(this)) ?? false;
      await this.#step();
      await invariants.observe(instances);
      await this.#look(invariants);
    }
    await this.#heal();
    if (disputed) await this.#dispute?.resolve(this);
    else await this.#expectNoConflict();
    await invariants.observe(instances);
    await expectAllFinal(this.#peers, this.#registryId);
    for (const peer of this.#peers) await invariants.expectAnswersTrue(peer, this.#asked);
    const entries = (await client.known.head(this.#registryId))?.sequence ?? 0;
    return { entries, happened: new Map([...this.#happened, ...this.#network.happened]) };
  }

  /**
   * The lead's store is the one of an earlier head again. What was on its way has arrived; whatever
   * no mirror holds then is lost, whoever was answered.
   */
  async restoreLead(backup: Head): Promise<void> {
    await this.#network.arrive();
    const [lead, ...mirrors] = this.#peers as [MemoryInstance, ...MemoryInstance[]];
    const heads = await Promise.all(mirrors.map(({ known }) => known.head(this.#registryId)));
    const held = Math.max(backup.sequence, ...heads.map((head) => head?.sequence ?? 0));
    for (const each of this.#asked) if ((each.recorded?.sequence ?? 0) > held) delete each.recorded;
    const expected = await headOf(lead, this.#registryId);
    lead.known.damage = {
      entry: (stored, copy) =>
        copy === backup.copy && stored.sequence > backup.sequence ? undefined : stored,
    };
    const head = { ...backup, conflictsVersion: expected.conflictsVersion + 1 };
    const { registryId } = this;
    await lead.known.settle({ registryId, expected, head, origin: 'received' });
    this.#invariants?.restored(lead, backup);
    this.#note('restored');
    if (held < expected.sequence) this.#note('lost with it');
  }

  /** At one entry of one instance, as its API shows it. */
  async #look(invariants: Invariants): Promise<void> {
    const looked = this.seeded.one(this.#peers);
    const head = await looked.known.head(this.#registryId);
    if (looked.up && head !== undefined)
      await invariants.observeFinality(looked, 1 + this.seeded.below(head.sequence));
  }

  #note(what: string): void {
    this.#happened.set(what, (this.#happened.get(what) ?? 0) + 1);
  }

  async #step(): Promise<void> {
    const draw = this.seeded.below(100);
    if (draw < 30) return this.#append();
    if (draw < 35) return this.#repeat();
    if (draw < 65) return this.#serve();
    if (draw < 72) return this.#planFault();
    if (draw < 77) return this.#crash();
    if (draw < 83) return this.#toggle();
    if (draw < 87) return this.#partition();
    if (draw < 92) return this.#network.deliverLate();
    if (draw < 97) return this.#passTime();
    return this.#reconfigure();
  }

  get #lead(): MemoryInstance {
    return this.#peers[0] as MemoryInstance;
  }

  /** A document, or several in one request, or two requests at once. */
  async #append(): Promise<void> {
    const lead = this.#lead;
    if (!lead.up) return;
    const requests = this.seeded.happens(0.2) ? 2 : 1;
    await Promise.all(
      Array.from({ length: requests }, async () => {
        const count = this.seeded.happens(0.2) ? 1 + this.seeded.below(5) : 1;
        await this.#request(lead, count);
      }),
    );
  }

  async #request(lead: MemoryInstance, count: number): Promise<void> {
    const drafts = [];
    for (let index = 0; index < count; index += 1) {
      this.#documents += 1;
      const name = `D-${this.#documents}`;
      const content = await lead.upload(name).catch(() => undefined);
      if (content === undefined) return;
      drafts.push({ draft: uploadDraft(name, 1, content), details: { salt, name } });
    }
    const asked = drafts.map(({ draft }): Asked => ({ transactionId: draft.transactionId }));
    this.#asked.push(...asked);
    const transactions = drafts.flatMap(({ draft, details }) => one(draft, details).transactions);
    const path = `/v1/registries/${this.#registryId}/transactions`;
    const ask = async () => {
      const answer = await lead.call('POST', path, { transactions });
      // The answer may be lost on its way as well.
      if (this.seeded.happens(0.1)) this.#note('client lost the answer');
      else this.#noteAnswer(asked, answer);
    };
    this.#repeatable.push(ask);
    await ask();
  }

  #noteAnswer(
    asked: readonly Asked[],
    answer: { readonly status: number; readonly body: { readonly entries?: readonly object[] } },
  ): void {
    if (answer.status === 201 || answer.status === 200) {
      for (const [index, each] of asked.entries())
        each.recorded = answer.body.entries?.[index] as Asked['recorded'] & object;
      this.#note('recorded');
    } else this.#note(`answered ${answer.status}`);
  }

  /** The same bytes again, also long afterwards. */
  async #repeat(): Promise<void> {
    const { length } = this.#repeatable;
    if (length === 0 || !this.#lead.up) return;
    this.#note('repeated');
    await this.#repeatable[this.seeded.below(length)]?.();
  }

  async #serve(): Promise<void> {
    await this.#serveOne(this.seeded.one(this.#instances));
  }

  async #serveOne(instance: MemoryInstance): Promise<number> {
    // A failed poke is lost; the sweep finds what is due.
    return instance.serve().catch(() => {
      this.#note('a function failed');
      return 1;
    });
  }

  /** Done and reported lost, or lost. */
  async #planFault(): Promise<void> {
    const { store } = this.seeded.one(this.#peers);
    if (this.seeded.happens(0.4)) store.plan(this.seeded.one(READS), 'lost');
    else if (this.seeded.happens(0.2))
      store.plan('commit', this.seeded.one(['busy', 'lost-race'] as const));
    else store.plan(this.seeded.one(WRITES), this.seeded.one(['lost', 'done-but-lost'] as const));
    this.#note('store fault');
  }

  /** The process dies while it works; another one is started afterwards. */
  async #crash(): Promise<void> {
    const instance = this.seeded.one(this.#peers);
    instance.store.crashAt(
      1 + this.seeded.below(25),
      this.seeded.one(['before', 'after'] as const),
    );
    if (instance === this.#lead && this.seeded.happens(0.5)) await this.#append();
    else await this.#serveOne(instance);
    instance.store.restart();
    instance.outbox.take();
    this.#note('crash');
  }

  async #toggle(): Promise<void> {
    const instance = this.seeded.one(this.#instances);
    instance.up = !instance.up;
    this.#note(instance.up ? 'started' : 'stopped');
  }

  async #partition(): Promise<void> {
    if (this.seeded.happens(0.5)) return this.#network.heal();
    this.#network.partition(this.seeded.one(this.#instances));
    this.#note('partition');
  }

  async #passTime(): Promise<void> {
    this.cluster.pass(this.seeded.one([100, 5_000, 70_000, 400_000, 3_600_000]));
  }

  /** Somebody joins or leaves; now and then the lead is handed over. */
  async #reconfigure(): Promise<void> {
    const lead = this.#lead;
    if (!lead.up || this.#dispute !== undefined) return;
    const [, ...mirrors] = this.#peers;
    const outside = this.#instances.filter((each) => !this.#peers.includes(each));
    const next = this.seeded.happens(0.3)
      ? [...mirrors, lead]
      : this.seeded.happens(0.5)
        ? [lead, ...mirrors, ...outside]
        : [lead, ...mirrors.slice(1)];
    if (next.length < 2) return;
    const transactionId = randomUUID();
    const asked: Asked = { transactionId };
    const answer = await lead.append(this.#registryId, {
      type: 'reconfigure-peers',
      transactionId,
      peers: next.map(({ id }) => id),
    });
    this.#asked.push(asked);
    this.#noteAnswer([asked], answer);
    const head = await lead.known.head(this.#registryId);
    const byId = new Map(this.#instances.map((each) => [each.id, each]));
    // Whatever was answered: what is stored is in force.
    this.#peers = (head?.configuration.peers ?? []).flatMap((id) => byId.get(id) ?? []);
    if (answer.status === 201) this.#note(next[0] === lead ? 'reconfigured' : 'handed over');
  }

  /** Everybody is up, nothing is lost any more, and time passes. */
  async #heal(): Promise<void> {
    await this.#network.becomeWhole();
    for (const instance of this.#instances) {
      instance.up = true;
      instance.store.restart();
    }
    for (let round = 0; round < 10; round += 1) {
      this.cluster.pass(400_000);
      await this.cluster.settle();
    }
  }

  /** I-10: confirmations are looked at on their way, in both directions. */
  async #watch(
    invariants: Invariants,
    { from, to, request }: Passing,
    answer: Awaited<ReturnType<FaultyNetwork['carry']>>,
  ): Promise<void> {
    const sent =
      request.operation === 'statements'
        ? readMessage(schemas.statements, request.body ?? new Uint8Array())
        : undefined;
    if (sent?.outcome === 'valid')
      for (const { statement, checkpoint } of sent.value.statements)
        if (checkpoint !== undefined) await invariants.confirmed(from, statement);
    if (request.operation !== 'deliver' || answer.outcome !== 'answered') return;
    const answered = readMessage(schemas.deliveryAnswer, answer.body);
    if (answered.outcome === 'valid' && answered.value.confirmation !== undefined)
      await invariants.confirmed(to, answered.value.confirmation.statement);
  }

  /** I-12: with honest instances there is never a conflict, whatever fails. */
  async #expectNoConflict(): Promise<void> {
    for (const { known, name } of this.#instances)
      if ((await known.conflicts(this.#registryId)).length > 0)
        throw new Error(`I-12: ${name} has recorded a conflict`);
  }
}
