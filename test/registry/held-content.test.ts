import { describe, expect, test } from 'vitest';
import { MemoryBlobStore } from '../../shared/adapters/memory/memory-blob-store.ts';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import {
  generationOf,
  isHeld,
  isSound,
  setContentAside,
} from '../../shared/registry/held-content.ts';
import { entryAt, expectSoundCopy, headOf, swarm } from '../scenarios/conflict-swarm.ts';

const BYTES = Buffer.from('Grundriß');
const content = { contentDigest: digestOf(BYTES), size: BYTES.length };

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function bucket(...generations: readonly (number | undefined)[]) {
  const blobs = new MemoryBlobStore({ name: 'bucket.example', clock: { now: () => 0 } });
  for (const generation of generations)
    await blobs.put(
      { ...content, ...(generation === undefined ? {} : { generation }) },
      chunksOf(BYTES),
    );
  return blobs;
}

const second = { contents: { [content.contentDigest]: 2 } };

describe('the object that counts', () => {
  test('is the first one, unless the head names a later one', () => {
    expect(generationOf(undefined, content.contentDigest)).toBe(1);
    expect(generationOf({}, content.contentDigest)).toBe(1);
    expect(generationOf({ contents: { [digestOf('x')]: 3 } }, content.contentDigest)).toBe(1);
    expect(generationOf(second, content.contentDigest)).toBe(2);
  });

  test('is held where it is there with that size, whatever the other ones are', async () => {
    const first = await bucket(undefined);

    expect(await isHeld(first, undefined, content)).toBe(true);
    expect(await isHeld(first, undefined, { ...content, size: 1 })).toBe(false);
    expect(await isHeld(first, second, content)).toBe(false);
    expect(await isHeld(await bucket(2), second, content)).toBe(true);
  });

  test('is sound where it comes out to its digest and size when it is read', async () => {
    const { client, registryId } = await swarm(1);
    const head = await headOf(client, registryId);
    const blobs = await bucket(undefined, 2);
    blobs.corrupt(content.contentDigest, Buffer.from('GRUNDRISS'));

    expect(await isSound(blobs, head, content)).toBe(false);
    expect(await isSound(blobs, { ...head, ...second }, content)).toBe(true);
    expect(await isSound(blobs, { ...head, ...second }, { ...content, size: 1 })).toBe(false);
    expect(await isSound(await bucket(), head, content)).toBe(false);
  });
});

describe('setting an object aside', () => {
  async function uploaded() {
    const given = await swarm(2);
    const { transaction } = await entryAt(given.contractor, given.registryId, 3);
    const { contentDigest } = JSON.parse(Buffer.from(transaction).toString());
    return { ...given, contentDigest, store: given.contractor.store };
  }

  test('lets the next one count, and touches no other document', async () => {
    const { contractor, registryId, contentDigest, store } = await uploaded();
    const before = await headOf(contractor, registryId);

    const head = await setContentAside(store, registryId, { contentDigest, wrong: 1 });

    expect(head).toEqual({
      ...before,
      conflictsVersion: before.conflictsVersion + 1,
      contents: { [contentDigest]: 2 },
    });
    expect(await headOf(contractor, registryId)).toEqual(head);
    expect(contractor.known.breaches).toEqual([]);
  });

  test('of a registry that is not here is unexpected', async () => {
    const { contentDigest, store } = await uploaded();

    await expect(
      setContentAside(store, digestOf('another') as RegistryId, { contentDigest, wrong: 1 }),
    ).rejects.toThrow('is not here');
  });

  test('that somebody has set aside before changes nothing', async () => {
    const { contractor, registryId, contentDigest, store } = await uploaded();
    const found = { contentDigest, wrong: 1 };
    await setContentAside(store, registryId, found);
    const before = await headOf(contractor, registryId);

    expect(await setContentAside(store, registryId, found)).toEqual(before);
    expect(await headOf(contractor, registryId)).toEqual(before);
  });

  test.each([
    'lost',
    'done-but-lost',
    'lost-race',
  ] as const)('is done once though its write is %s', async (fault) => {
    const { contractor, registryId, contentDigest, store } = await uploaded();
    store.plan('settle', fault, 7);

    await setContentAside(store, registryId, { contentDigest, wrong: 1 });

    expect((await headOf(contractor, registryId)).contents).toEqual({ [contentDigest]: 2 });
    const bytes = chunksOf(Buffer.from('D-2 version 1'));
    await contractor.blobs.put({ contentDigest, size: 13, generation: 2 }, bytes);
    await expectSoundCopy(contractor, registryId);
  });

  test('gives up where no write succeeds', async () => {
    const { contractor, registryId, contentDigest, store } = await uploaded();
    const before = await headOf(contractor, registryId);
    store.plan('settle', 'lost', 8);

    const aside = setContentAside(store, registryId, { contentDigest, wrong: 1 });

    await expect(aside).rejects.toThrow('keeps moving');
    expect(await headOf(contractor, registryId)).toEqual(before);
  });
});
