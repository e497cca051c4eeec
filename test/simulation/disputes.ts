/** What goes wrong so that people have to decide, and how they do. */
import { expect } from 'vitest';
import type { Link } from '../../shared/ledger/backlinks.ts';
import type { CertificateId, Digest, RegistryId } from '../../shared/ledger/digest.ts';
import { auditAll } from '../../shared/registry/audit-all.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import type { Head } from '../../shared/registry/ports.ts';
import { reportTableChanged } from '../../shared/registry/report-conflict.ts';
import { supportedThrough } from '../../shared/registry/set-aside.ts';
import { uploadDocument } from '../builders.ts';
import { acceptAt, decide, openAt, setAsideAt } from '../conflicts.ts';
import { edited } from '../damaged-store.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import { expectBlocked, headOf, rest, setAsideFrom } from '../scenarios/conflict-swarm.ts';
import type { Dispute, World } from './world.ts';

/** Every instance reads all that it stores again. */
async function auditEverywhere({ cluster, peers }: World): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1)
    for (const { ports } of peers) {
      const plan = {
        periodMs: 1,
        runEveryMs: 900_000,
        entriesMax: 10_000,
        bytesMax: 1_000_000,
        deadlineMs: cluster.nowMs + 60_000,
      };
      await auditAll(ports, plan, () => undefined);
    }
}

async function expectOpenEverywhere(
  { peers, registryId }: World,
  said: { readonly kind: string; readonly accused: CertificateId },
): Promise<void> {
  for (const peer of peers) {
    const open = await openAt(peer, registryId);
    expect([peer.name, open]).toMatchObject([peer.name, [{ said }]]);
  }
}

function parties({ peers }: World): readonly [MemoryInstance, ...MemoryInstance[]] {
  const [lead, ...mirrors] = peers;
  if (lead === undefined) throw new Error('nobody leads');
  return [lead, ...mirrors];
}

/** Somebody edits one byte of an entry in a mirror's table, which finds it by itself. */
export function editedTable(): Dispute {
  let mirror: MemoryInstance | undefined;
  let sequence = 0;
  return {
    isLeadHonest: true,
    async cause(world) {
      const [, ...mirrors] = parties(world);
      mirror = world.seeded.one(mirrors);
      const head = await mirror.known.head(world.registryId);
      if (head === undefined || head.sequence < 2) return false;
      sequence = 2 + world.seeded.below(head.sequence - 1);
      mirror.known.damage = {
        entry: (stored, copy) =>
          copy === 1 && stored.sequence === sequence && isDocument(stored.transaction)
            ? edited(stored)
            : stored,
      };
      const [stored] = await mirror.known.entries(world.registryId, 1, {
        from: sequence,
        count: 1,
      });
      return stored !== undefined && isDocument(stored.transaction);
    },
    async resolve(world) {
      if (mirror === undefined) throw new Error('nothing was edited');
      const [lead] = parties(world);
      await auditEverywhere(world);
      await rest(world.cluster);
      await expectOpenEverywhere(world, { kind: 'local-tampering', accused: mirror.id });
      await expectBlocked(lead, world.registryId);
      await setAsideFrom(mirror, world.registryId, sequence);
      await decide(lead, world.registryId, { manner: 'replay' });
      await rest(world.cluster);
      await expectGoesOn(world);
    },
  };
}

function isDocument(transaction: Uint8Array): boolean {
  return Buffer.from(transaction).includes('"mediaType":"');
}

/** The lead gives one mirror another entry than it gives the others. */
export function twoStories(): Dispute {
  let told: MemoryInstance | undefined;
  return {
    isLeadHonest: false,
    async cause(world) {
      const { registryId } = world;
      const [lead, ...mirrors] = parties(world);
      const victim = world.seeded.one(mirrors);
      const before = await lead.known.head(registryId);
      const at = await victim.known.head(registryId);
      if (before === undefined || at?.digest !== before.digest || !victim.up || !lead.up)
        return false;
      const content = { contentDigest: before.digest, size: 7 };
      const test = uploadDocument('FALSE', { version: 1, ...content } as never);
      const { commit } = forgeCommit(lead.ports.signer, before, [test]);
      await victim.answerPeer(lead.certificate.certificatePem, {
        operation: 'deliver',
        registryId,
        body: encodeMessage(deliveryOf(registryId, commit)),
      });
      const stored = await victim.known.head(registryId);
      if (stored?.sequence !== before.sequence + 1) return false;
      told = victim;
      // The others get this one; again and again, until it is recorded.
      await recordOne(lead, registryId);
      return true;
    },
    async resolve(world) {
      if (told === undefined) throw new Error('nothing was forged');
      const { registryId } = world;
      const [lead, ...mirrors] = parties(world);
      await expectOpenEverywhere(world, { kind: 'fork', accused: lead.id });
      await expectBlocked(lead, registryId);
      const [found] = await openAt(lead, registryId);
      const entries = branchesOf(found);
      await decide(lead, registryId, { manner: 'replay', entries: entries as never });
      await rest(world.cluster);
      for (const mirror of mirrors)
        expect(await acceptAt(mirror, registryId)).toMatchObject({ outcome: 'accepted' });
      const head = await headOf(told, registryId);
      const { store, signer } = told.ports;
      const last = await supportedThrough(store, signer, head, entries[0]?.sequence ?? 0);
      const aside = await setAsideAt(told, registryId, { from: last + 1 });
      expect(aside).toMatchObject({ outcome: 'set-aside' });
      await rest(world.cluster);
      await expectGoesOn(world);
    },
  };
}

/** The lead is restored to an older state; people decide and accept while everything else fails. */
export function restoredLead(): Dispute {
  let backup: Head | undefined;
  return {
    isLeadHonest: true,
    async cause(world) {
      const [lead, ...mirrors] = parties(world);
      backup ??= await headOf(lead, world.registryId);
      const { sequence } = backup;
      const heads = await Promise.all(mirrors.map(({ known }) => known.head(world.registryId)));
      const isHeld = heads.some((each) => (each?.sequence ?? 0) > sequence);
      if (!lead.up || !isHeld || !world.seeded.happens(0.2)) return false;
      await world.restoreLead(backup);
      // Its process begins with that: the table is another one.
      const ports = { ...lead.ports, store: lead.known };
      await reportTableChanged(ports, await headOf(lead, world.registryId));
      return true;
    },
    proceed: takeBack,
    async resolve(world) {
      for (let round = 0; round < 3; round += 1) {
        await takeBack(world);
        await rest(world.cluster);
      }
      const [lead] = parties(world);
      expect((await headOf(lead, world.registryId)).copy).toBeGreaterThan(1);
      await expectGoesOn(world);
    },
  };
}

/** The lead's operator decides, and those of the mirrors accept, if they can. */
async function takeBack(world: World): Promise<void> {
  const { registryId } = world;
  const [lead, ...mirrors] = parties(world);
  const { openConflicts, resolution } = await headOf(lead, registryId);
  if (lead.up && openConflicts.length > 0 && resolution === undefined)
    await decide(lead, registryId, { manner: 'take-back' }).catch(() => undefined);
  for (const mirror of mirrors) if (mirror.up) await acceptAt(mirror, registryId).catch(() => 0);
}

async function recordOne(lead: MemoryInstance, registryId: RegistryId): Promise<void> {
  const { sequence } = await headOf(lead, registryId);
  for (let tries = 0; tries < 20; tries += 1) {
    await lead.record(registryId, `TRUE-${tries}`).catch(() => undefined);
    if ((await headOf(lead, registryId)).sequence > sequence) return;
  }
  throw new Error('the true story is not recorded');
}

function branchesOf(
  found:
    | { readonly said: { readonly sequence: number; readonly digests: readonly Digest[] } }
    | undefined,
): Link[] {
  const { sequence = 0, digests = [] } = found?.said ?? {};
  return digests.map((digest) => ({ sequence, digest }) as Link);
}

/** Nothing is open any more, and an append becomes final. */
async function expectGoesOn(world: World): Promise<void> {
  const [lead] = parties(world);
  for (const peer of world.peers)
    expect([peer.name, await openAt(peer, world.registryId)]).toEqual([peer.name, []]);
  expect((await lead.record(world.registryId, 'AFTER')).status).toBe(201);
  await rest(world.cluster);
}
