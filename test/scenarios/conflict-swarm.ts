/** A registry on a cluster in memory whose people have to decide, and what must hold afterwards. */
import { expect } from 'vitest';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { auditRegistry } from '../../shared/registry/audit.ts';
import { exportLines } from '../../shared/registry/export.ts';
import type { Head, StoredEntry } from '../../shared/registry/ports.ts';
import { ownTampering, reportConflict } from '../../shared/registry/report-conflict.ts';
import { openAt, setAsideAt } from '../conflicts.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { expectSound, overriding } from '../sound-ledger.ts';

/** Longer than any back-off. */
export const WHILE_MS = 400_000;

export interface Swarm {
  readonly cluster: MemoryCluster;
  /** Leads. */
  readonly client: MemoryInstance;
  readonly architect: MemoryInstance;
  readonly contractor: MemoryInstance;
  readonly registryId: RegistryId;
  /** All that are in the list, the lead first. */
  readonly all: readonly MemoryInstance[];
}

/** Entry 1, and one document an entry, confirmed by all; `more` are further mirrors. */
export async function swarm(documents = 3, ...more: readonly string[]): Promise<Swarm> {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const others: MemoryInstance[] = [];
  for (const name of more) others.push(await cluster.add(name));
  const mirrors = [architect, contractor, ...others];
  const registryId = await client.create(mirrors);
  for (let index = 1; index <= documents; index += 1) await client.record(registryId, `D-${index}`);
  await cluster.settle();
  return { cluster, client, architect, contractor, registryId, all: [client, ...mirrors] };
}

/** Everybody is called again, and everything that is due happens. */
export async function rest(cluster: MemoryCluster, rounds = 6): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    cluster.pass(WHILE_MS);
    await cluster.settle();
  }
}

export async function headOf({ known, name }: MemoryInstance, registryId: RegistryId) {
  const head = await known.head(registryId);
  if (head === undefined) throw new Error(`${name} does not hold the registry`);
  return head;
}

/** The entry as the instance holds it in its present copy. */
export async function entryAt(
  instance: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
): Promise<StoredEntry> {
  const { copy } = await headOf(instance, registryId);
  const [stored] = await instance.known.entries(registryId, copy, { from: sequence, count: 1 });
  if (stored === undefined) throw new Error(`${instance.name} does not hold entry ${sequence}`);
  return stored;
}

/** The entry as others link to it. */
export async function linkAt(instance: MemoryInstance, registryId: RegistryId, sequence: number) {
  const { digest, sequence: place } = await entryAt(instance, registryId, sequence);
  return { sequence: place, digest };
}

/** The whole copy that counts is sound, entry by entry, as audited, and as exported. */
export async function expectSoundCopy(
  instance: MemoryInstance,
  registryId: RegistryId,
): Promise<void> {
  const { known } = instance;
  const { copy } = await headOf(instance, registryId);
  const present = overriding(known, {
    entries: (id, _copy, range) => known.entries(id, copy, range),
  });
  await expectSound({ ...instance, known: present } as unknown as MemoryInstance, registryId);
  expect(await auditRegistry(instance.ports, registryId)).toMatchObject({ outcome: 'sound' });
  await verifiedExport(instance, registryId);
}

/** What a stranger finds in the export of the instance. */
export async function verifiedExport({ known }: MemoryInstance, registryId: RegistryId) {
  const verifier = new LedgerVerifier({ registryId, rules: true });
  for await (const line of exportLines(known, registryId)) verifier.line(Buffer.from(line));
  const report = verifier.end();
  if (report.outcome === 'wrong') throw new Error(`${report.sequence}: ${report.detail}`);
  return report;
}

/** Nothing is open, all hold the same, and it is final and sound. */
export async function expectAllFinal(
  all: readonly MemoryInstance[],
  registryId: RegistryId,
): Promise<void> {
  const [first] = all;
  const head = first === undefined ? undefined : await first.head(registryId);
  for (const instance of all) {
    expect([instance.name, await openAt(instance, registryId)]).toEqual([instance.name, []]);
    expect([instance.name, await instance.head(registryId)]).toEqual([instance.name, head]);
    for (let sequence = 1; sequence <= (head?.sequence ?? 0); sequence += 1) {
      const { status } = await instance.status(registryId, sequence);
      expect([instance.name, sequence, status.status]).toEqual([
        instance.name,
        sequence,
        expect.stringMatching(/^final/),
      ]);
    }
    await expectSoundCopy(instance, registryId);
  }
}

/** The lead appends nothing of an application, and says why. */
export async function expectBlocked(lead: MemoryInstance, registryId: RegistryId): Promise<void> {
  const before = await headOf(lead, registryId);
  const refused = await lead.record(registryId, 'WHILE-BLOCKED');
  expect([refused.status, refused.body.code]).toEqual([409, 'REGISTRY_IN_CONFLICT']);
  expect(await headOf(lead, registryId)).toEqual(before);
}

/** Somebody edited an entry of the instance's table, which finds it. */
export async function findTampering(
  { ports }: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
): Promise<Head['openConflicts'][number]> {
  const detail = `entry ${sequence} was edited`;
  return reportConflict(ports, registryId, ownTampering(ports, registryId, sequence, detail));
}

/** The mirror's operator begins a new copy from there, for whatever is wrong with its own. */
export async function setAsideFrom(
  mirror: MemoryInstance,
  registryId: RegistryId,
  from: number,
): Promise<void> {
  const own = (await openAt(mirror, registryId)).filter(({ said }) => said.accused === mirror.id);
  const conflicts = own.map(({ conflictId }) => conflictId);
  const outcome = await setAsideAt(mirror, registryId, { from, conflicts });
  expect(outcome).toMatchObject({ outcome: 'set-aside' });
}

/** How often the instance raised the signal. */
export function raised({ alarms }: MemoryInstance, signal: string): number {
  return alarms.signals.filter((each) => each === signal).length;
}
