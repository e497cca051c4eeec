import { expect, test } from 'vitest';
import { readEntry } from '../../shared/ledger/entry.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { ownChain } from '../../shared/registry/gather-evidence.ts';
import type { Head } from '../../shared/registry/ports.ts';
import { MemoryCluster } from '../memory-cluster.ts';

/** Entries 2 to 4 come to the architect in one delivery: it confirms the last of them alone. */
async function mirrored() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  await cluster.settle();
  architect.up = false;
  for (const documentId of ['A', 'B', 'C']) await client.record(registryId, documentId);
  architect.up = true;
  cluster.pass(400_000);
  await cluster.settle();
  const head = (await architect.known.head(registryId)) as Head;
  return { client, architect, head };
}

function sequencesOf(path: readonly string[] = []): number[] {
  return path.map((text) => {
    const read = readEntry(Buffer.from(text));
    return read.outcome === 'read' ? read.entry.sequence : 0;
  });
}

test('the own chain of a mirror goes down from what it confirmed itself', async () => {
  const { architect, head } = await mirrored();

  const chain = await ownChain(architect.ports, head, 2);
  const newest = await ownChain(architect.ports, head, 4);

  expect(payloadOf(chain?.confirmation as never)).toMatchObject({
    signer: architect.id,
    sequence: 4,
  });
  expect([sequencesOf(chain?.path), newest?.path]).toEqual([[4, 2], []]);
});

test('the own chain of a lead is what it signed, which nobody has to confirm', async () => {
  const { client, head } = await mirrored();

  const chain = await ownChain(client.ports, head, 3);

  expect(chain).toEqual({ checkpoint: expect.any(String), path: [] });
  expect(payloadOf(chain?.checkpoint as never)).toMatchObject({ sequence: 3, copy: 1 });
});

test('a confirmation of another entry than the stored one is no part of it', async () => {
  const { architect, head } = await mirrored();
  architect.known.damage = {
    entry: (stored) => (stored.sequence === 4 ? { ...stored, digest: head.registryId } : stored),
  };

  expect(await ownChain(architect.ports, head, 3)).not.toHaveProperty('confirmation');
});
