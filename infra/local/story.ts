/** "Neubau Grundschule Musterstadt" (fictional): the main job, told step by step. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { RegistryClient, RegistryProblem, readProfile } from '../../cli/client.ts';
import {
  createRegistry,
  type EntryStatus,
  introduce,
  type RecordedDocument,
  reconfigurePeers,
  uploadDocument,
  waitUntilFinal,
} from '../../cli/documents.ts';
import type { Cluster } from './cluster.ts';
import type { Member, MemberName } from './members.ts';
import { buildModel } from './model.ts';
import { duration, type Narrator, size } from './narrator.ts';

export interface StoryOptions {
  readonly cluster: Cluster;
  readonly members: readonly Member[];
  readonly narrator: Narrator;
  /** For the generated model. */
  readonly directory: string;
  /** Recorded instead of the generated model. */
  readonly file?: string;
}

export interface Told {
  readonly registryId: string;
  /** The last entry, which every peer has confirmed. */
  readonly sequence: number;
}

const PROJECT = 'Neubau Grundschule Musterstadt';
const DOCUMENT = 'ARC-0001';
/** While the contractor is away. */
const LETTERS = 25;

/** Tells steps 1, 2, 3, 5 and 7. Rejects where something does not come about. */
export async function tellStory(options: StoryOptions): Promise<Told> {
  const story = await Story.open(options);
  try {
    await story.createRegistry();
    await story.recordModel();
    await story.recordSecondVersion();
    await story.addCheckingEngineer();
    await story.contractorIsAway();
    return story.told();
  } finally {
    story.close();
  }
}

class Story {
  private readonly options: StoryOptions;
  private readonly clients: ReadonlyMap<MemberName, RegistryClient>;
  /** The architect's application at the lead. */
  private readonly architectAtLead: RegistryClient;
  private registryId = '';
  private sequence = 0;

  private constructor(
    options: StoryOptions,
    clients: ReadonlyMap<MemberName, RegistryClient>,
    architectAtLead: RegistryClient,
  ) {
    this.options = options;
    this.clients = clients;
    this.architectAtLead = architectAtLead;
  }

  static async open(options: StoryOptions): Promise<Story> {
    const clients = new Map<MemberName, RegistryClient>();
    for (const { name, profile } of options.members)
      clients.set(name, new RegistryClient(await readProfile(profile)));
    const { leadProfile } = memberOf(options, 'architect');
    return new Story(options, clients, new RegistryClient(await readProfile(leadProfile)));
  }

  close(): void {
    for (const client of [...this.clients.values(), this.architectAtLead]) client.close();
  }

  told(): Told {
    return { registryId: this.registryId, sequence: this.sequence };
  }

  async createRegistry(): Promise<void> {
    const { narrator } = this.options;
    narrator.step(1, `The client creates the registry "${PROJECT}" with two mirrors.`);
    const client = this.client('client');
    for (const name of ['architect', 'contractor', 'checking-engineer'] as const)
      await introduce(client, this.member(name).certificatePem);
    const started = performance.now();
    const peers = this.ids('client', 'architect', 'contractor');
    const recorded = await createRegistry(client, { name: PROJECT, peers });
    this.registryId = recorded.registryId;
    narrator.at('client (lead)', `registry ${recorded.registryId}`);
    await this.followUp(recorded, started, ['client', 'architect', 'contractor']);
  }

  async recordModel(): Promise<void> {
    const { narrator, file } = this.options;
    const what = file === undefined ? 'the model' : basename(file);
    narrator.step(2, `The architect's application records ${what} as ${DOCUMENT} version 1.`);
    await this.tryTheMirror();
    await this.record(file ?? this.writeModel(1), ['client', 'architect', 'contractor']);
  }

  /** Only the lead appends: a mirror says so, and says who does. */
  private async tryTheMirror(): Promise<void> {
    const { narrator } = this.options;
    const file = this.writeModel(1);
    try {
      await uploadDocument(this.client('architect'), {
        registryId: this.registryId,
        documentId: DOCUMENT,
        path: file,
        name: 'Modell',
      });
      throw new Error('a mirror has appended an entry');
    } catch (error) {
      if (!(error instanceof RegistryProblem) || error.status !== 421) throw error;
      narrator.at(
        'architect',
        `asked first, answers 421: the lead is at ${error.members['leadEndpoint']}`,
      );
    }
  }

  async recordSecondVersion(): Promise<void> {
    const { narrator, file } = this.options;
    narrator.step(
      3,
      file === undefined
        ? `Version 2 follows; both stay.`
        : `The same file again as version 2: its bytes are held already and travel no more.`,
    );
    await this.record(file ?? this.writeModel(2), ['client', 'architect', 'contractor']);
  }

  async addCheckingEngineer(): Promise<void> {
    const { narrator, cluster } = this.options;
    narrator.step(5, 'The checking engineer joins as a mirror and catches up from entry 1.');
    await narrator.during('starting the instance', () =>
      cluster.startInstance('checking-engineer'),
    );
    const started = performance.now();
    const all = ['client', 'architect', 'contractor', 'checking-engineer'] as const;
    const peers = this.ids(...all);
    const recorded = await reconfigurePeers(this.client('client'), this.registryId, peers);
    narrator.at('client (lead)', 'the new peer list is an entry like any other');
    await this.followUp(recorded, started, all);
  }

  async contractorIsAway(): Promise<void> {
    const { narrator, cluster } = this.options;
    narrator.step(7, "The contractor's instance goes offline; work goes on; it comes back.");
    await cluster.stopInstance('contractor');
    narrator.at('contractor', 'is offline');
    const started = performance.now();
    const last = await narrator.during('recording letters', (report) => this.recordLetters(report));
    narrator.at(
      'client (lead)',
      `recorded ${LETTERS} letters, entries ${last.sequence - LETTERS + 1} to ${last.sequence}, ` +
        `in ${duration(performance.now() - started)}`,
    );
    const back = performance.now();
    await narrator.during('starting the instance', () => cluster.startInstance('contractor'));
    narrator.at('contractor', 'is back, and nobody has to do anything');
    const all = ['client', 'architect', 'contractor', 'checking-engineer'] as const;
    await this.followUp(last, back, all);
  }

  private async recordLetters(report: (progress: string) => void): Promise<RecordedDocument> {
    let last: RecordedDocument | undefined;
    for (let number = 1; number <= LETTERS; number += 1) {
      const path = join(this.options.directory, 'letter.txt');
      writeFileSync(path, `Musterstadt, Schreiben ${number} zum Bauvorhaben ${PROJECT}\n`);
      last = await uploadDocument(this.client('client'), {
        registryId: this.registryId,
        documentId: `BRIEF-${String(number).padStart(4, '0')}`,
        path,
        name: `Schreiben ${number}`,
      });
      report(`${number} of ${LETTERS}`);
    }
    if (last === undefined) throw new Error('no letter was recorded');
    return last;
  }

  private async record(path: string, holders: readonly MemberName[]): Promise<void> {
    const { narrator } = this.options;
    const started = performance.now();
    const bytes = statSync(path).size;
    const recorded = await narrator.during(`reading ${size(bytes)}`, (report) =>
      uploadDocument(this.architectAtLead, {
        registryId: this.registryId,
        documentId: DOCUMENT,
        path,
        name: 'Modell Architektur',
        onProgress: (phase, done, total) =>
          report(`${phase === 'hash' ? 'hashed' : 'sent'} ${percent(done, total)}`),
      }),
    );
    narrator.at(
      'client (lead)',
      `${DOCUMENT} version ${recorded.version}, ${size(recorded.size)}, SHA-256 ${recorded.contentDigest}`,
    );
    await this.followUp(recorded, started, holders);
  }

  /** The entry, and on every instance that every mirror has confirmed it. */
  private async followUp(
    recorded: { readonly sequence: number; readonly digest: string },
    started: number,
    holders: readonly MemberName[],
  ): Promise<void> {
    const { narrator, file } = this.options;
    const { sequence, digest } = recorded;
    this.sequence = sequence;
    const took = duration(performance.now() - started);
    narrator.at('client (lead)', `entry ${sequence}, digest ${digest}, recorded after ${took}`);
    const patienceMs = 180_000 + (file === undefined ? 0 : statSync(file).size / 5_000);
    const known = await narrator.during('waiting for confirmations', () =>
      Promise.all(
        holders.map((name) =>
          waitUntilFinal(this.client(name), this.registryId, sequence, patienceMs),
        ),
      ),
    );
    this.tellConfirmations(known[0]);
    const all = duration(performance.now() - started);
    narrator.at(
      'every instance',
      `holds all ${holders.length - 1} confirmations: final after ${all}`,
    );
  }

  private tellConfirmations(known: EntryStatus | undefined): void {
    for (const { peer, role, confirmed } of known?.confirmations ?? []) {
      if (role === 'lead' || confirmed === undefined) continue;
      const name = this.options.members.find((each) => each.certificateId === peer)?.name ?? peer;
      this.options.narrator.at(name, `confirmed at ${confirmed.confirmedAt}`);
    }
  }

  private writeModel(version: number): string {
    const { directory } = this.options;
    mkdirSync(directory, { recursive: true });
    const path = join(directory, `${DOCUMENT}-v${version}.ifc`);
    const time = Math.floor(Date.now() / 1000);
    writeFileSync(path, buildModel({ project: PROJECT, version, time, storeys: version + 1 }));
    return path;
  }

  private member(name: MemberName): Member {
    return memberOf(this.options, name);
  }

  private ids(...names: readonly MemberName[]): string[] {
    return names.map((name) => this.member(name).certificateId);
  }

  private client(name: MemberName): RegistryClient {
    const client = this.clients.get(name);
    if (client === undefined) throw new Error(`no client for ${name}`);
    return client;
  }
}

function memberOf({ members }: StoryOptions, name: MemberName): Member {
  const member = members.find((each) => each.name === name);
  if (member === undefined) throw new Error(`no member ${name}`);
  return member;
}

function percent(done: number, total: number): string {
  return `${Math.floor((done * 100) / Math.max(1, total))} %`;
}
