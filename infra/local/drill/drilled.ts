/** A registry on the cluster of this machine, with the clients of its members, for a drill. */
import { setTimeout } from 'node:timers/promises';
import type { ConflictSummary } from '../../../shared/client/conflicts.ts';
import { RegistryError } from '../../../shared/client/problem.ts';
import { readProfile } from '../../../shared/client/profile.ts';
import { RegistryClient } from '../../../shared/client/registry-client.ts';
import type { RecordedDocument } from '../../../shared/client/upload.ts';
import type { Link } from '../../../shared/ledger/backlinks.ts';
import { limits } from '../../../shared/ledger/limits.ts';
import { type ConflictAlarm, readConflictAlarm } from '../alarm.ts';
import type { Cluster } from '../cluster.ts';
import { type Member, type MemberName, memberNames } from '../members.ts';
import type { Narrator } from '../narrator.ts';

/** Where a drill is held. */
export interface Site {
  readonly cluster: Cluster;
  readonly members: readonly Member[];
  readonly narrator: Narrator;
  /** For the files that the drill writes. */
  readonly directory: string;
}

export const LEAD = 'client';
/** The instance that most drills are held against. */
export const VICTIM = 'contractor';

const PROJECT = 'Neubau Grundschule Musterstadt';
const DOCUMENTS = ['ARC-0001', 'STA-0001', 'TGA-0001'] as const;
/** Longer than a message stays hidden whose function died: with it all of its peer and registry. */
const PATIENCE_MS = 100_000;
const POLL_MS = 200;

/** One registry of all four members while something goes wrong with it. */
export class Drilled {
  readonly site: Site;
  readonly registryId: string;
  /** Every conflict that any instance has opened in this registry, as its log says it. */
  readonly alarms: ConflictAlarm[] = [];
  readonly #applications: ReadonlyMap<MemberName, RegistryClient>;
  readonly #operators: ReadonlyMap<MemberName, RegistryClient>;
  readonly #away = new Set<MemberName>();
  readonly #stopListening: () => void;
  #steps = 1;

  private constructor(site: Site, registryId: string, clients: Clients) {
    this.site = site;
    this.registryId = registryId;
    this.#applications = clients.applications;
    this.#operators = clients.operators;
    this.#stopListening = site.cluster.listen((instance, line) => {
      const alarm = readConflictAlarm(instance, line);
      if (alarm?.registryId === registryId) this.alarms.push(alarm);
    });
  }

  /** A new registry with three documents, which all four have confirmed. */
  static async create(site: Site): Promise<Drilled> {
    site.narrator.step(1, 'A registry of four members, with three documents.');
    const clients = await openClients(site);
    const client = clientOf(clients.applications, LEAD);
    for (const { name, certificatePem } of site.members)
      if (name !== LEAD) await client.introduceInstance(certificatePem);
    const peers = site.members.map(({ certificateId }) => certificateId);
    const { registryId } = await client.createRegistry({ name: PROJECT, peers });
    const drilled = new Drilled(site, registryId, clients);
    const recorded = await Promise.all(DOCUMENTS.map((each) => drilled.record(each, each)));
    const last = Math.max(...recorded.map(({ sequence }) => sequence));
    await drilled.untilFinal(last);
    drilled.at(LEAD, `registry ${registryId}`);
    site.narrator.at('every instance', `has confirmed all ${last} entries`);
    return drilled;
  }

  /** The registry that the story is about. */
  static async of(site: Site, registryId: string): Promise<Drilled> {
    return new Drilled(site, registryId, await openClients(site));
  }

  close(): void {
    this.#stopListening();
    for (const client of this.#applications.values()) client.close();
    for (const client of this.#operators.values()) client.close();
  }

  member(name: MemberName): Member {
    const member = this.site.members.find((each) => each.name === name);
    if (member === undefined) throw new Error(`no member ${name}`);
    return member;
  }

  id(name: MemberName): string {
    return this.member(name).certificateId;
  }

  /** The member's application at the member's own instance. */
  application(name: MemberName): RegistryClient {
    return clientOf(this.#applications, name);
  }

  /** The member's operator at the member's own instance. */
  operator(name: MemberName): RegistryClient {
    return clientOf(this.#operators, name);
  }

  /** What is open at the member's instance. */
  async openConflicts(name: MemberName): Promise<ConflictSummary[]> {
    const { conflicts } = await this.operator(name).conflicts(this.registryId);
    return conflicts.filter(({ open }) => open);
  }

  /** Whose instance that is; the id itself where it is nobody's. */
  nameOf(certificateId: string): string {
    const found = this.site.members.find((each) => each.certificateId === certificateId);
    return found?.name ?? certificateId;
  }

  /** The text with names in place of certificate ids and addresses. */
  named(text: string): string {
    return text
      .replaceAll(/\b[0-9a-f]{64}\b/g, (id) => this.nameOf(id))
      .replaceAll(/https:\/\/localhost:(\d+)/g, (address, port) => {
        const found = this.site.members.find(({ instance }) => String(instance.port) === port);
        return found?.name ?? address;
      });
  }

  /** The next numbered step. */
  step(text: string): void {
    this.#steps += 1;
    this.site.narrator.step(this.#steps, text);
  }

  at(where: MemberName, what: string): void {
    this.site.narrator.at(where === LEAD ? `${LEAD} (lead)` : where, what);
  }

  /** Members whose instances are online and hold the registry. */
  get online(): readonly MemberName[] {
    return memberNames.filter((name) => !this.#away.has(name));
  }

  async takeOffline(...names: readonly MemberName[]): Promise<void> {
    for (const name of names) {
      await this.site.cluster.stopInstance(name);
      this.#away.add(name);
      this.at(name, 'is taken offline');
    }
  }

  async bringBack(...names: readonly MemberName[]): Promise<void> {
    for (const name of names) {
      await this.site.cluster.startInstance(name);
      this.#away.delete(name);
      this.at(name, 'is back');
    }
  }

  /** Every instance is online, as it was at the beginning. */
  async allBack(): Promise<void> {
    for (const name of memberNames) await this.site.cluster.startInstance(name);
    this.#away.clear();
  }

  /** The member is a peer no more: what comes next does not concern its instance. */
  leave(name: MemberName): void {
    this.#away.add(name);
  }

  /** The next version of a document, by the lead's application. */
  record(documentId: string, content: string, supersedes?: Link): Promise<RecordedDocument> {
    return this.application(LEAD).uploadDocument(this.registryId, {
      documentId,
      content: Buffer.from(content),
      name: documentId,
      mediaType: 'text/plain',
      ...(supersedes === undefined ? {} : { supersedes }),
    });
  }

  /** So many documents with the same bytes, many at a time. Gives the sequence of the last one. */
  async recordMany(count: number): Promise<number> {
    const [document] = DOCUMENTS;
    const { size, contentDigest } = await this.record(`${document}-ALL`, document);
    let last = 0;
    for (let from = 1; from < count; from += limits.commitEntriesMax) {
      const length = Math.min(limits.commitEntriesMax, count - from);
      const transactions = Array.from({ length }, (_, index) => {
        const documentId = `BRIEF-${1000 + from + index}`;
        const mediaType = 'text/plain';
        const members = { documentId, version: 1, mediaType, size, contentDigest };
        return { type: 'upload-document', members, details: { name: documentId } } as const;
      });
      const entries = await this.application(LEAD).append(this.registryId, transactions);
      last = entries.at(-1)?.sequence ?? last;
    }
    return last;
  }

  /** From every instance that is online a receipt with the confirmations of all mirrors. */
  async untilFinal(sequence: number): Promise<void> {
    for (const name of this.online) {
      // Asked for often; the proof, which takes longer, once.
      await this.until(`entry ${sequence} final at ${name}`, async () => {
        const known = await this.#statusAt(name, sequence);
        return known?.status.status.startsWith('final') === true ? true : undefined;
      });
      const options = { timeoutMs: PATIENCE_MS };
      await this.application(name).waitUntilConfirmed(this.registryId, sequence, options);
    }
  }

  /** What the instance says of the entry; undefined: it has not got it yet. */
  #statusAt(name: MemberName, sequence: number) {
    const { unverified } = this.application(name);
    return unverified.entryStatus(this.registryId, sequence).catch((error: unknown) => {
      if (error instanceof RegistryError && error.status === 404) return undefined;
      throw error;
    });
  }

  /** The lead knows that these have confirmed the entry. */
  async untilConfirmedBy(sequence: number, ...names: readonly MemberName[]): Promise<void> {
    await this.until(`entry ${sequence} confirmed by ${names.join(' and ')}`, async () => {
      const known = await this.#statusAt(LEAD, sequence);
      const confirmed = known?.confirmations.filter((each) => each.confirmed !== undefined) ?? [];
      const all = names.every((name) => confirmed.some(({ peer }) => peer === this.id(name)));
      return all ? true : undefined;
    });
  }

  /** Nobody who is online has that conflict open. */
  async untilResolved(conflictId: string): Promise<void> {
    for (const name of this.online)
      await this.until(`the end of the conflict ${conflictId.slice(0, 8)} at ${name}`, async () => {
        const open = await this.openConflicts(name);
        return open.some((each) => each.conflictId === conflictId) ? undefined : true;
      });
  }

  /** Asks again and again until there is an answer; rejects with `what` when its patience ends. */
  async until<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      if (performance.now() > deadline)
        throw new Error(`${what}: did not come about within ${PATIENCE_MS / 1000} s`);
      await setTimeout(POLL_MS);
    }
  }
}

interface Clients {
  readonly applications: ReadonlyMap<MemberName, RegistryClient>;
  readonly operators: ReadonlyMap<MemberName, RegistryClient>;
}

async function openClients({ members }: Site): Promise<Clients> {
  const applications = new Map<MemberName, RegistryClient>();
  const operators = new Map<MemberName, RegistryClient>();
  for (const { name, profile, operatorProfile } of members) {
    applications.set(name, new RegistryClient(await readProfile(profile)));
    operators.set(name, new RegistryClient(await readProfile(operatorProfile)));
  }
  return { applications, operators };
}

function clientOf(clients: ReadonlyMap<MemberName, RegistryClient>, name: MemberName) {
  const client = clients.get(name);
  if (client === undefined) throw new Error(`no client of ${name}`);
  return client;
}
