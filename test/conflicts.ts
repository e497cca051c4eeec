/** Decisions of operators at the instances of a memory cluster. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { leadOf } from '../shared/ledger/chain.ts';
import type { ConflictStatement } from '../shared/ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId } from '../shared/ledger/digest.ts';
import { type Compact, type PublicKeyJwk, payloadOf, signStatement } from '../shared/ledger/jws.ts';
import type { Acceptance, Resolution, SetAside } from '../shared/ledger/resolution.ts';
import { accept } from '../shared/registry/accept.ts';
import { type Order, resolve } from '../shared/registry/resolve.ts';
import { setAside } from '../shared/registry/set-aside.ts';
import type { MemoryInstance } from './memory-cluster.ts';

/** The operator's own signature. */
export function signedByOperator({ operator }: MemoryInstance, payload: object): Compact {
  const key = createPrivateKey(operator.keyPem);
  const jwk = createPublicKey(key).export({ format: 'jwk' }) as unknown as PublicKeyJwk;
  return signStatement(payload as Parameters<typeof signStatement>[0], key, jwk);
}

function orderOf(instance: MemoryInstance, payload: object): Order {
  const operator = instance.operator.certificateId as CertificateId;
  return { operator, decision: signedByOperator(instance, payload) };
}

async function headOf(instance: MemoryInstance, registryId: RegistryId) {
  const head = await instance.known.head(registryId);
  if (head === undefined) throw new Error(`${instance.name} does not hold the registry`);
  return head;
}

/** What is open at the instance, by what it says. */
export async function openAt(
  instance: MemoryInstance,
  registryId: RegistryId,
): Promise<{ readonly conflictId: Digest; readonly said: ConflictStatement }[]> {
  const { openConflicts } = await headOf(instance, registryId);
  const conflicts = await instance.known.conflicts(registryId);
  return conflicts
    .filter(({ conflictId }) => openConflicts.includes(conflictId))
    .map(({ conflictId, statement }) => ({
      conflictId,
      said: payloadOf(statement) as ConflictStatement,
    }));
}

/** The operator of the lead decides; all that is open there unless others are named. */
export async function decide(
  lead: MemoryInstance,
  registryId: RegistryId,
  changes: Partial<Resolution> & Pick<Resolution, 'manner'>,
) {
  const head = await headOf(lead, registryId);
  const resolution = {
    format: 'registry/resolution/v1',
    registryId,
    signer: lead.id,
    decidedBy: lead.operator.certificateId,
    conflicts: [...head.openConflicts],
    entries: [],
    through: { sequence: head.sequence, digest: head.digest },
    reason: 'entschieden in der Besprechung vom 23. November',
    ...changes,
  };
  return resolve(lead.ports, registryId, orderOf(lead, resolution));
}

/** The digest of the resolution in force at the instance. */
export async function inForceAt(instance: MemoryInstance, registryId: RegistryId): Promise<Digest> {
  const { resolution } = await headOf(instance, registryId);
  if (resolution === undefined) throw new Error(`no resolution is in force at ${instance.name}`);
  return resolution;
}

export async function acceptAt(mirror: MemoryInstance, registryId: RegistryId) {
  const acceptance: Omit<Acceptance, 'decidedBy'> & { decidedBy: string } = {
    format: 'registry/acceptance/v1',
    registryId,
    signer: mirror.id,
    decidedBy: mirror.operator.certificateId,
    resolution: await inForceAt(mirror, registryId),
    reason: 'geprüft und angenommen',
  };
  return accept(mirror.ports, registryId, orderOf(mirror, acceptance));
}

export async function setAsideAt(
  mirror: MemoryInstance,
  registryId: RegistryId,
  changes: Partial<Omit<SetAside, 'from'>> & { readonly from: number },
) {
  const head = await headOf(mirror, registryId);
  const payload = {
    format: 'registry/set-aside/v1',
    registryId,
    signer: mirror.id,
    decidedBy: mirror.operator.certificateId,
    conflicts: [...head.openConflicts],
    copy: head.copy + 1,
    reason: 'die Tabelle wurde verändert',
    ...changes,
  };
  return setAside(mirror.ports, registryId, orderOf(mirror, payload));
}

/** Ids of the present peers without the one. */
export async function peersWithout(
  lead: MemoryInstance,
  registryId: RegistryId,
  expelled: MemoryInstance,
): Promise<CertificateId[]> {
  const { configuration } = await headOf(lead, registryId);
  if (leadOf(configuration) === expelled.id) throw new Error('the lead cannot be expelled');
  return configuration.peers.filter((peer) => peer !== expelled.id);
}
