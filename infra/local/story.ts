/** "Neubau Grundschule Musterstadt" (fictional): the main job, told step by step. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runCommand } from '../../cli/command.ts';
import { mediaTypeOf } from '../../cli/media-types.ts';
import { operatorCommands } from '../../cli/operator-commands.ts';
import { RegistryError } from '../../shared/client/problem.ts';
import { readProfile } from '../../shared/client/profile.ts';
import type { FetchedReceipt } from '../../shared/client/receipts.ts';
import { RegistryClient } from '../../shared/client/registry-client.ts';
import type { GivenSignature } from '../../shared/client/signing.ts';
import type { RecordedDocument } from '../../shared/client/upload.ts';
import type { Cluster } from './cluster.ts';
import { tellConflict } from './drill/in-story.ts';
import type { Member, MemberName } from './members.ts';
import { buildModel } from './model.ts';
import { duration, type Narrator, size } from './narrator.ts';
import { buildReport } from './report.ts';
import { type SigningPerson, signingPerson } from './signing-person.ts';

export interface StoryOptions {
  readonly cluster: Cluster;
  readonly members: readonly Member[];
  readonly narrator: Narrator;
  /** For the files that are made on the way. */
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
const REPORT = 'STA-0001';
const REPORT_NAME = 'Statische Berechnung';
const SIGNER = 'Prüfingenieurin';
/** While the contractor is away. */
const LETTERS = 12;

const FIRST_THREE = ['client', 'architect', 'contractor'] as const;
const ALL_FOUR = [...FIRST_THREE, 'checking-engineer'] as const;

/** Tells all ten steps. Rejects where something does not come about. */
export async function tellStory(options: StoryOptions): Promise<Told> {
  const story = await Story.open(options);
  try {
    await story.createRegistry();
    await story.recordModel();
    await story.recordSecondVersion();
    await story.requestSignature();
    await story.addCheckingEngineer();
    await story.sign();
    await story.contractorIsAway();
    await story.conflict();
    await story.export();
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
  /** The checking engineer herself: her key is at no instance. */
  private readonly person: SigningPerson;
  private registryId = '';
  private requestId = '';
  private sequence = 0;

  private constructor(
    options: StoryOptions,
    clients: ReadonlyMap<MemberName, RegistryClient>,
    architectAtLead: RegistryClient,
  ) {
    this.options = options;
    this.clients = clients;
    this.architectAtLead = architectAtLead;
    this.person = signingPerson(memberOf(options, 'checking-engineer').directory);
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
      await client.introduceInstance(this.member(name).certificatePem);
    const started = performance.now();
    const peers = this.ids(...FIRST_THREE);
    const recorded = await client.createRegistry({ name: PROJECT, peers });
    this.registryId = recorded.registryId;
    narrator.at('client (lead)', `registry ${recorded.registryId}`);
    await this.followUp(recorded, started, FIRST_THREE);
  }

  async recordModel(): Promise<void> {
    const { narrator, file } = this.options;
    const what = file === undefined ? 'the model' : basename(file);
    narrator.step(2, `The architect's application records ${what} as ${DOCUMENT} version 1.`);
    await this.tryTheMirror();
    await this.record(file ?? this.writeModel(1));
  }

  /** Only the lead appends: a mirror says so, and says who does. */
  private async tryTheMirror(): Promise<void> {
    const { narrator } = this.options;
    const content = this.writeModel(1);
    try {
      await this.client('architect').uploadDocument(this.registryId, {
        documentId: DOCUMENT,
        content,
        name: 'Modell',
        mediaType: mediaTypeOf(content),
      });
    } catch (error) {
      if (!(error instanceof RegistryError) || error.status !== 421) throw error;
      const { leadEndpoint } = error.members;
      narrator.at('architect', `asked first, answers 421: the lead is at ${leadEndpoint}`);
      return;
    }
    throw new Error('a mirror has appended an entry');
  }

  async recordSecondVersion(): Promise<void> {
    const { narrator, file } = this.options;
    narrator.step(
      3,
      file === undefined
        ? `Version 2 follows; both stay.`
        : `The same file again as version 2: its bytes are held already and travel no more.`,
    );
    await this.record(file ?? this.writeModel(2));
  }

  async requestSignature(): Promise<void> {
    const { narrator } = this.options;
    narrator.step(4, `The structural engineer's report ${REPORT}, and whose signature it needs.`);
    const started = performance.now();
    const report = await this.recordReport(1);
    narrator.at('client (lead)', `${REPORT} version 1, entry ${report.sequence}`);
    const request = await this.request(1);
    this.requestId = request.requestId;
    narrator.at(
      'client (lead)',
      `asks the checking engineer to approve version 1, by her public key`,
    );
    await this.followUp(request, started, FIRST_THREE);
  }

  private recordReport(version: number): Promise<RecordedDocument> {
    return this.client('client').uploadDocument(this.registryId, {
      documentId: REPORT,
      version,
      content: buildReport({ title: REPORT_NAME, version }),
      name: REPORT_NAME,
      mediaType: 'application/pdf',
    });
  }

  private request(version: number) {
    return this.client('client').requestSignature(this.registryId, {
      documentId: REPORT,
      version,
      publicKey: this.person.publicKeyPem,
      purpose: 'approval',
      signer: SIGNER,
    });
  }

  async sign(): Promise<void> {
    const { narrator } = this.options;
    narrator.step(6, `The checking engineer signs version 1 with ${this.person.program}.`);
    const application = this.client('client');
    const input = await application.signingInput(this.registryId, this.requestId);
    narrator.at('client (lead)', `serves what is to be signed: ${input.objectUrn}`);
    const given = { protected: input.protected, signature: this.person.sign(input.bytes) };
    const started = performance.now();
    const signed = await application.submitSignature(this.registryId, this.requestId, given);
    narrator.at('client (lead)', `verified the signature (${input.algorithm}) and recorded it`);
    await this.followUp(signed, started, ALL_FOUR);
    await this.trySignatureElsewhere(given);
  }

  /** A signature holds for one version: offered for another one, the lead itself refuses it. */
  private async trySignatureElsewhere(given: GivenSignature): Promise<void> {
    const { narrator } = this.options;
    await this.recordReport(2);
    const { requestId } = await this.request(2);
    const signature = Buffer.from(given.signature as Uint8Array).toString('base64');
    const path = `/v1/registries/${this.registryId}/signature-requests/${requestId}/signatures`;
    const body = { transactionId: randomUUID(), protected: given.protected, signature };
    try {
      // The client would not even send it: what counts is that the lead does not take it.
      await this.client('client').unverified.call('POST', path, body);
    } catch (error) {
      if (!(error instanceof RegistryError) || error.status !== 400) throw error;
      narrator.at('client (lead)', `offered for version 2 it is refused: ${error.code}`);
      return;
    }
    throw new Error('a signature over version 1 was taken for version 2');
  }

  async addCheckingEngineer(): Promise<void> {
    const { narrator, cluster } = this.options;
    narrator.step(5, 'The checking engineer joins as a mirror and catches up from entry 1.');
    await narrator.during('starting the instance', () =>
      cluster.startInstance('checking-engineer'),
    );
    const started = performance.now();
    const peers = this.ids(...ALL_FOUR);
    const recorded = await this.client('client').reconfigurePeers(this.registryId, peers);
    narrator.at('client (lead)', 'the new peer list is an entry like any other');
    await this.followUp(recorded, started, ALL_FOUR);
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
    await this.followUp(last, back, ALL_FOUR);
  }

  async conflict(): Promise<void> {
    this.sequence = await tellConflict(this.options, this.registryId);
  }

  /** Whatever becomes of the lead: any copy is enough, and the file needs no instance. */
  async export(): Promise<void> {
    const { narrator, directory, cluster } = this.options;
    narrator.step(
      10,
      'The architect exports everything, and the file is verified without network.',
    );
    const environment = join(this.member('architect').directory, 'environment.json');
    writeFileSync(environment, JSON.stringify(cluster.environmentOf('architect')), { mode: 0o600 });
    const file = join(directory, `${this.registryId.slice(0, 8)}.jsonl`);
    const registry = ['--registry', this.registryId];
    await this.run('export', '--environment', environment, ...registry, '--out', file);
    await this.run('verify-export', file, ...registry);
    narrator.at('anybody', "proves it all from that file, if the lead's whole machine burns");
  }

  /** A command of the architect's operator. */
  private async run(...command: readonly string[]): Promise<void> {
    const lines: string[] = [];
    const code = await runCommand(operatorCommands, command, (line) => lines.push(line));
    for (const line of lines) this.options.narrator.at('architect', line.trim());
    if (code !== 0) throw new Error(`${command[0]} failed: ${lines.join('; ')}`);
  }

  private async recordLetters(report: (progress: string) => void): Promise<RecordedDocument> {
    let last: RecordedDocument | undefined;
    for (let number = 1; number <= LETTERS; number += 1) {
      last = await this.client('client').uploadDocument(this.registryId, {
        documentId: `BRIEF-${String(number).padStart(4, '0')}`,
        version: 1,
        content: Buffer.from(`Musterstadt, Schreiben ${number} zum Bauvorhaben ${PROJECT}\n`),
        name: `Schreiben ${number}`,
        mediaType: 'text/plain',
      });
      report(`${number} of ${LETTERS}`);
    }
    if (last === undefined) throw new Error('no letter was recorded');
    return last;
  }

  private async record(path: string): Promise<void> {
    const { narrator } = this.options;
    const started = performance.now();
    const total = statSync(path).size;
    const recorded = await narrator.during(`reading ${size(total)}`, (report) =>
      this.architectAtLead.uploadDocument(
        this.registryId,
        {
          documentId: DOCUMENT,
          content: path,
          name: 'Modell Architektur',
          mediaType: mediaTypeOf(path),
        },
        {
          onProgress: ({ phase, bytes }) =>
            report(`${phase === 'hash' ? 'hashed' : 'sent'} ${percent(bytes, total)}`),
        },
      ),
    );
    narrator.at(
      'client (lead)',
      `${DOCUMENT} version ${recorded.version}, ${size(recorded.size)}, SHA-256 ${recorded.contentDigest}`,
    );
    await this.followUp(recorded, started, FIRST_THREE);
  }

  /** The entry, and from every instance a receipt that proves that every mirror has confirmed it. */
  private async followUp(
    { sequence, digest }: { readonly sequence: number; readonly digest: string },
    started: number,
    holders: readonly MemberName[],
  ): Promise<void> {
    const { narrator, file } = this.options;
    this.sequence = sequence;
    const took = duration(performance.now() - started);
    narrator.at('client (lead)', `entry ${sequence}, digest ${digest}, recorded after ${took}`);
    const timeoutMs = 180_000 + (file === undefined ? 0 : statSync(file).size / 5_000);
    const receipts = await narrator.during('waiting for confirmations', () =>
      Promise.all(
        holders.map((name) =>
          this.client(name).waitUntilConfirmed(this.registryId, sequence, { timeoutMs }),
        ),
      ),
    );
    this.tellConfirmations(receipts[0]);
    const all = duration(performance.now() - started);
    narrator.at(
      'every instance',
      `gives a receipt with all ${holders.length - 1} confirmations: final after ${all}`,
    );
  }

  private tellConfirmations(fetched: FetchedReceipt | undefined): void {
    for (const { peer, confirmedAt } of fetched?.receipt.confirmations ?? []) {
      const name = this.options.members.find((each) => each.certificateId === peer)?.name ?? peer;
      this.options.narrator.at(name, `confirmed at ${confirmedAt}`);
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
