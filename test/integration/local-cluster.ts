import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../../infra/local/cluster.ts';
import { type Member, type MemberName, prepareMembers } from '../../infra/local/members.ts';
import { freePort } from '../../infra/local/port.ts';
import { readProfile } from '../../shared/client/profile.ts';
import { RegistryClient } from '../../shared/client/registry-client.ts';
import { bundleFunctions } from '../bundles.ts';

/** A real cluster for tests: the synthesized template, mutual TLS, DynamoDB Local in memory. */
export interface LocalCluster {
  readonly cluster: Cluster;
  readonly directory: string;
  readonly members: ReadonlyMap<MemberName, Member>;
  /** The member's own application at the member's own instance. */
  client(name: MemberName): RegistryClient;
  /** A file with these bytes. */
  file(name: string, text: string): string;
  /** A file with the environment of the instance, for the operator's commands. */
  environmentFile(name: MemberName): string;
  close(): Promise<void>;
}

export interface LocalClusterOptions {
  /** True: the functions run from the bundles that a deployment makes, not from source. */
  readonly bundles?: boolean;
}

export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'registry-'));
  const members = await prepareMembers(directory, await consecutiveFreePorts(4));
  const cluster = await startCluster({
    directory,
    ...(options.bundles === true ? { bundles: bundlesIn(join(directory, 'bundles')) } : {}),
    instances: members.map(({ instance }) => instance),
    inMemory: true,
    sweepSeconds: 2,
  });
  const clients = new Map<MemberName, RegistryClient>();
  for (const { name, profile } of members)
    clients.set(name, new RegistryClient(await readProfile(profile)));
  return {
    cluster,
    directory,
    members: new Map(members.map((member) => [member.name, member])),
    client: (name) => {
      const client = clients.get(name);
      if (client === undefined) throw new Error(`no client ${name}`);
      return client;
    },
    file: (name, text) => {
      const path = join(directory, name);
      writeFileSync(path, text);
      return path;
    },
    environmentFile: (name) => {
      const path = join(directory, name, 'environment.json');
      writeFileSync(path, JSON.stringify(cluster.environmentOf(name)));
      return path;
    },
    close: async () => {
      for (const client of clients.values()) client.close();
      await cluster.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** By the function's source. */
function bundlesIn(directory: string): ReadonlyMap<string, string> {
  return new Map(bundleFunctions(directory).map(({ entry, file }) => [entry, file]));
}

/** Below what the system gives to anybody, and in a part that no other worker of a run takes from. */
function ownPort(): number {
  const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % 20;
  return 20_000 + 500 * worker + Math.floor(490 * Math.random());
}

/** The first of so many ports in a row that nobody listens on. */
export async function consecutiveFreePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort(ownPort(), 'a test').catch(() => undefined);
    if (first === undefined) continue;
    const rest = Array.from({ length: count - 1 }, (_, index) => first + 1 + index);
    const free = await Promise.all(
      rest.map((port) =>
        freePort(port, 'a test').then(
          () => true,
          () => false,
        ),
      ),
    );
    if (first + count < 65_000 && free.every(Boolean)) return first;
  }
}
