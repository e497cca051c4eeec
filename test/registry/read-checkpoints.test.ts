import { expect, test } from 'vitest';
import { listCheckpoints } from '../../shared/registry/read-checkpoints.ts';
import { TestLedger, testPeer, timeAfter } from '../builders.ts';
import { held } from './reading.ts';

const peers = [testPeer(), testPeer()];

/** Commits that end with the entries 1, 3, 4 and 7. */
function fourCommits(): TestLedger {
  const ledger = new TestLedger(peers);
  ledger.upload('A', 'B');
  ledger.upload('C');
  ledger.upload('D', 'E', 'F');
  return ledger;
}

async function pagesOf(ledger: TestLedger, count: number) {
  const ports = await held(ledger);
  const pages: number[][] = [];
  let next: number | undefined = 0;
  while (next !== undefined) {
    const page = await listCheckpoints(ports, ports.head, { after: next, count });
    pages.push(page.checkpoints.map(({ sequence }) => sequence));
    next = page.next;
  }
  return pages;
}

test('checkpoints are listed with what they say', async () => {
  const ledger = fourCommits();
  const ports = await held(ledger);

  const { checkpoints } = await listCheckpoints(ports, ports.head, { count: 10 });

  const { digest, checkpoint } = ledger.entryAt(3);
  expect(checkpoints[1]).toEqual({
    sequence: 3,
    digest,
    issuedAt: timeAfter(3),
    signer: ledger.lead.certificateId,
    statement: checkpoint,
  });
});

test('checkpoints come page by page, each once', async () => {
  expect(await pagesOf(fourCommits(), 100)).toEqual([[1, 3, 4, 7]]);
  expect(await pagesOf(fourCommits(), 3)).toEqual([[1, 3, 4], [7]]);
  expect(await pagesOf(fourCommits(), 1)).toEqual([[1], [3], [4], [7]]);
});

test('100 entries are read for a page, however few checkpoints they hold', async () => {
  const ledger = new TestLedger(peers);
  for (let commit = 0; commit < 5; commit += 1)
    ledger.upload(...Array.from({ length: 24 }, (_, at) => `D${commit}-${at}`));

  expect(await pagesOf(ledger, 100)).toEqual([[1, 25, 49, 73, 97], [121]]);
});

test('beyond the head there are none', async () => {
  const ports = await held(fourCommits());

  expect(await listCheckpoints(ports, ports.head, { after: 7, count: 5 })).toEqual({
    checkpoints: [],
  });
  expect(await listCheckpoints(ports, ports.head, { after: 99, count: 5 })).toEqual({
    checkpoints: [],
  });
});
