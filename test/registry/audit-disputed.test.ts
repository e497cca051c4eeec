import { describe, expect, test } from 'vitest';
import type { Digest, Sequence } from '../../shared/ledger/digest.ts';
import { textOf } from '../../shared/registry/messages.ts';
import { reportConflict } from '../../shared/registry/report-conflict.ts';
import { TestLedger, type TestPeer, testPeer } from '../builders.ts';
import { audited } from './audited.ts';

const [a, b, c] = [testPeer(), testPeer(), testPeer()];

type Audited = Awaited<ReturnType<typeof audited>>;

/** 2 to 13: documents, all of one size. */
const ledger = new TestLedger([a, b, c]);
ledger.upload(...Array.from({ length: 12 }, (_, n) => `plan-${10 + n}`));
const size = ledger.documents.values().next().value?.length ?? 0;

/** The peer says that it got the bytes of that entry's document from nobody. */
async function dispute(copy: Audited, by: TestPeer, sequence: number): Promise<void> {
  const { registryId } = copy;
  const { entry, transaction } = ledger.entryAt(sequence);
  const upload = { entry: textOf(entry), transaction: textOf(transaction) };
  const { contentDigest } = JSON.parse(upload.transaction) as { contentDigest: Digest };
  await reportConflict({ ...copy.ports, signer: by }, registryId, {
    kind: 'document-mismatch',
    sequence,
    accused: 'open',
    digests: [contentDigest],
    evidence: {
      format: 'registry/evidence/v1',
      kind: 'document-mismatch',
      registryId,
      sequence: sequence as Sequence,
      since: new Date(copy.time.nowMs).toISOString(),
      sources: [],
      upload,
    },
    detail: 'nobody has the bytes',
  });
  copy.time.nowMs += 900_000;
}

/** A copy, and of each run the entries whose documents it asked for the bytes of, in order. */
async function disputed() {
  const copy = await audited(ledger);
  const sequences = new Map(
    Array.from({ length: 12 }, (_, n) => {
      const bytes = Buffer.from(ledger.entryAt(n + 2).transaction).toString();
      return [(JSON.parse(bytes) as { contentDigest: Digest }).contentDigest, n + 2];
    }),
  );
  const read: (number | undefined)[] = [];
  const get = copy.blobs.get.bind(copy.blobs);
  copy.blobs.get = (contentDigest, generation) => {
    read.push(sequences.get(contentDigest));
    return get(contentDigest, generation);
  };
  const run = async (bytesMax: number) => {
    const outcome = await copy.run({ bytesMax });
    copy.time.nowMs += 900_000;
    expect(outcome).toMatchObject({ outcome: 'audited', findings: [] });
    return read.splice(0);
  };
  return { copy, run };
}

describe('while a document is in dispute that takes all that a run may read', () => {
  test('the pass goes on all the same', async () => {
    const { copy, run } = await disputed();
    await dispute(copy, b, 13);

    const runs = [await run(size), await run(size), await run(size)];

    expect(runs).toEqual([
      [13, 2],
      [13, 3],
      [13, 4],
    ]);
  });

  test('the documents that others dispute are read, each in its turn', async () => {
    const { copy, run } = await disputed();
    await dispute(copy, b, 13);
    await dispute(copy, c, 12);

    const runs = [await run(size), await run(size), await run(size)];

    expect(runs.map(([first]) => first)).toEqual([13, 12, 13]);
  });

  test('half of a run is left to the pass, and what is not needed of the other half', async () => {
    const { copy, run } = await disputed();
    await dispute(copy, b, 13);
    await dispute(copy, c, 12);

    const [narrow, wide] = [await run(2 * size), await run(8 * size)];

    expect(narrow).toEqual([13, 2]);
    expect(wide).toEqual([12, 13, 3, 4, 5, 6, 7, 8]);
  });
});
