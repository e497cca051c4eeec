/** A lead and a mirror behind real listeners, with clients; closed after each test. */
import { afterAll, afterEach } from 'vitest';
import type { ContentSource } from '../../shared/client/content-source.ts';
import { type ClientOptions, RegistryClient } from '../../shared/client/registry-client.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { type MemoryEndpoint, serve } from '../memory-endpoint.ts';

/** Quick, so that what fails for good fails soon. */
export const quick = { triesMax: 4, totalMsMax: 10_000, firstWaitMs: 2, waitMsMax: 10 };

const opened: { close(): unknown }[] = [];
const kept: { close(): unknown }[] = [];

afterEach(() => close(opened));
afterAll(() => close(kept));

async function close(all: { close(): unknown }[]): Promise<void> {
  await Promise.all(all.splice(0).map((each) => each.close()));
}

/** What is open now stays so until all tests of the file are done. */
export function keepOpen(): void {
  kept.push(...opened.splice(0));
}

/** Closed after the test. */
export function closing<T extends { close(): unknown }>(each: T): T {
  opened.push(each);
  return each;
}

/** A client of the endpoint's own application, or of another caller. */
export function clientOf(
  endpoint: MemoryEndpoint,
  options: ClientOptions = {},
  profile = endpoint.profile(),
): RegistryClient {
  return closing(new RegistryClient(profile, { retries: quick, ...options }));
}

export interface Served {
  readonly cluster: MemoryCluster;
  readonly lead: MemoryInstance;
  readonly mirror: MemoryInstance;
  readonly atLead: MemoryEndpoint;
  readonly atMirror: MemoryEndpoint;
}

/** Two instances that listen. */
export async function served(): Promise<Served> {
  const cluster = new MemoryCluster();
  const lead = await cluster.add('client');
  const mirror = await cluster.add('architect');
  const atLead = closing(await serve(cluster, lead));
  const atMirror = closing(await serve(cluster, mirror));
  return { cluster, lead, mirror, atLead, atMirror };
}

export interface Registry extends Served {
  readonly client: RegistryClient;
  readonly registryId: string;
}

/** A registry of both, and a client at its lead. */
export async function registry(options: ClientOptions = {}): Promise<Registry> {
  const both = await served();
  const client = clientOf(both.atLead, options);
  const { registryId } = await client.createRegistry({
    name: 'Neubau Grundschule Musterstadt',
    peers: [both.lead.id, both.mirror.id],
  });
  return { ...both, client, registryId };
}

/** A version of a document whose bytes are the text. */
export function document(documentId: string, content: ContentSource = Buffer.from(documentId)) {
  return { documentId, content, name: `Plan ${documentId}`, mediaType: 'text/plain' };
}

/** Reads all of a list. */
export async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of list) found.push(each);
  return found;
}
