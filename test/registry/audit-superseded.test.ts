import { describe, expect, test } from 'vitest';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import {
  requestKey,
  type StateItem,
  type StateKey,
  supersededKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import { NAMED_KEY } from '../../shared/ledger/superseding.ts';
import { auditRegistry } from '../../shared/registry/audit.ts';
import { runAudit } from '../../shared/registry/audit-run.ts';
import { reconfigurePeers, TestLedger, testPeer, testUuid, uploadDocument } from '../builders.ts';
import { linkAt, resolutionOf } from '../resolving.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';
import { audited, foundIn, WHOLE } from './audited.ts';
import { answering } from './reading.ts';

const [a, b] = [testPeer(), testPeer()];
const person = testSigner();
const other = digestOf('other');
const [asked, askedAgain] = [testUuid(0xd01), testUuid(0xd02)];

/**
 * 2 and 3: plan-1 and plan-2. 4 and 5: a request about plan-2 and its signature. 6: version 7 of
 * plan-1, which breaks the rules. 7: carries out that 6 is replaced with version 2 of plan-1, and that
 * 3, 4 and 5 are void. 8: plan-3. 9: another request, about plan-1. 10: carries out that 9 is replaced
 * with a request about its version 2. 11: plan-4.
 */
function replacedLedger(): TestLedger {
  const ledger = new TestLedger([a, b]);
  ledger.upload('plan-1', 'plan-2');
  ledger.commit([requestSignature(person, 'plan-2', { requestId: asked })]);
  ledger.commit([signDocument(asked, person.sign(targetOf(ledger, asked)))]);
  ledger.commit([uploadDocument('plan-1', { version: 7 })], { unruled: true });
  ledger.confirm(b);
  const first = resolutionOf(ledger, [6, 3, 4, 5], { finder: b });
  const alternative = uploadDocument('plan-1', { version: 2, supersedes: linkAt(ledger, 6) });
  ledger.commit([alternative], { resolves: [first] });
  ledger.upload('plan-3');
  ledger.commit([requestSignature(person, 'plan-1', { requestId: testUuid(0xd03) })]);
  const second = resolutionOf(ledger, [9], { finder: b });
  const better = { requestId: askedAgain, version: 2, supersedes: linkAt(ledger, 9) };
  ledger.commit([requestSignature(person, 'plan-1', better)], { resolves: [second] });
  ledger.upload('plan-4');
  ledger.confirm(b);
  return ledger;
}

const ledger = replacedLedger();

type Change = (item: StateItem) => object | undefined;

async function findingsOf(key: StateKey, change: Change): Promise<string[]> {
  const copy = await audited(ledger);
  copy.store.damage = {
    items: (each, item) => (each === key ? (change(item) as StateItem | undefined) : item),
  };
  return foundIn(await copy.run());
}

describe('a ledger with replaced and voided entries', () => {
  test('is sound for both audits', async () => {
    const copy = await audited(ledger);

    expect(await auditRegistry(copy.ports, ledger.registryId)).toMatchObject({ outcome: 'sound' });
    expect(await copy.run()).toMatchObject({ outcome: 'audited', findings: [], entries: 11 });
  });

  test('is sound for a mirror that has stored what is void and not yet what says so', async () => {
    const behind = new TestLedger([a, b]);
    behind.upload('plan-1');
    behind.commit([uploadDocument('plan-1', { version: 7 })], { unruled: true });
    const resolution = resolutionOf(behind, [3], { finder: b });
    behind.resolutions.push(resolution);
    const copy = await audited(behind, { self: b });
    expect(foundIn(await copy.run())).toEqual(['3 STATE_ITEM_DIFFERS']);

    const told = await audited(behind, { self: b });
    told.store.damage = { head: () => ({ decided: [resolution.digest] }) };
    expect(foundIn(await told.run())).toEqual([]);
  });

  test('is sound where a peer list is void, and a void signature was given again', async () => {
    const again = new TestLedger([a, b]);
    again.upload('plan-1');
    again.commit([requestSignature(person, 'plan-1', { requestId: asked })]);
    again.commit([signDocument(asked, person.sign(targetOf(again, asked)))]);
    again.commit([reconfigurePeers([a, b])]);
    const resolution = resolutionOf(again, [4, 5], { finder: b });
    const signature = person.sign(targetOf(again, asked), 60);
    again.commit([signDocument(asked, signature, { supersedes: linkAt(again, 4) })], {
      resolves: [resolution],
    });
    const copy = await audited(again);

    expect(await auditRegistry(copy.ports, again.registryId)).toMatchObject({ outcome: 'sound' });
    expect(foundIn(await copy.run())).toEqual([]);
  });
});

describe('an audit of what is superseded finds', () => {
  test.each<readonly [string, StateKey, Change, string[]]>([
    ['nothing of what was named', NAMED_KEY, () => undefined, ['7', '10']],
    [
      'what was named, by another entry',
      NAMED_KEY,
      ({ ...item }) => ({ ...item, named: { [ledger.resolutions[0]?.digest ?? '']: 8 } }),
      ['7', '10'],
    ],
    [
      'what was named, by the newest with another link',
      NAMED_KEY,
      ({ ...item }) => ({ ...item, entry: linkAt(ledger, 7) }),
      ['10'],
    ],
    ['a mark that is missing', supersededKey(3), () => undefined, ['3', '7']],
    [
      'a mark by another entry',
      supersededKey(3),
      (item) => ({ ...item, entry: linkAt(ledger, 8) }),
      ['3', '7'],
    ],
    [
      'a mark by no entry',
      supersededKey(3),
      ({ ...item }) => ({ ...item, entry: null }),
      ['3', '7'],
    ],
    [
      'a mark by another resolution',
      supersededKey(3),
      (item) => ({ ...item, resolution: other }),
      ['3', '7'],
    ],
    [
      'a mark of another type',
      supersededKey(3),
      (item) => ({ ...item, type: 'sign-document' }),
      ['3', '7'],
    ],
    [
      'a mark about something else',
      supersededKey(4),
      (item) => ({ ...item, subject: 'x' }),
      ['4', '7'],
    ],
    [
      'a mark with a replacement that is none',
      supersededKey(3),
      (item) => ({ ...item, replacement: linkAt(ledger, 8) }),
      ['3'],
    ],
    [
      'a mark with no link as replacement',
      supersededKey(3),
      (item) => ({ ...item, replacement: null }),
      ['3'],
    ],
    [
      'a mark without the replacement that there is',
      supersededKey(6),
      ({ ...item }) =>
        Object.fromEntries(Object.entries(item).filter(([name]) => name !== 'replacement')),
      ['7'],
    ],
    [
      'a void version that counts',
      versionKey('plan-2', 1),
      (item) => Object.fromEntries(Object.entries(item).filter(([name]) => name !== 'superseded')),
      ['3'],
    ],
    [
      'a version that counts no more, of which nothing says so',
      versionKey('plan-3', 1),
      (item) => ({ ...item, superseded: linkAt(ledger, 10) }),
      ['8'],
    ],
    [
      'a void request that can be signed',
      requestKey(asked),
      (item) => Object.fromEntries(Object.entries(item).filter(([name]) => name !== 'superseded')),
      ['4'],
    ],
    [
      'a void signature that counts',
      requestKey(asked),
      (item) => ({ ...item, signed: linkAt(ledger, 5) }),
      ['5'],
    ],
    [
      'a replaced request about other content',
      requestKey(askedAgain),
      (item) => ({ ...item, contentDigest: other }),
      ['10'],
    ],
  ])('%s', async (_what, key, change, entries) => {
    const found = await findingsOf(key, change);

    expect(found).toEqual(entries.map((sequence) => `${sequence} STATE_ITEM_DIFFERS`));
  });

  test('a mark that was made up', async () => {
    const copy = await audited(ledger);
    const mark = {
      ...{
        entry: linkAt(ledger, 10),
        resolution: ledger.resolutions[1]?.digest,
        subject: 'plan-3',
      },
      ...{ type: 'upload-document' },
    };
    const forging = answering(copy.store, {
      read: async (registryId, keys) => {
        const read = await copy.store.read(registryId, keys);
        const items = new Map(read.items);
        if (keys.includes(supersededKey(8))) items.set(supersededKey(8), mark as StateItem);
        return { ...read, items };
      },
    });

    const outcome = await runWith(copy, forging);

    expect(outcome).toEqual(['8 STATE_ITEM_DIFFERS']);
  });

  test('that a resolution is gone which an entry names', async () => {
    const copy = await audited(ledger);
    const forgetful = answering(copy.store, { kept: async () => [] });

    const found = await runWith(copy, forgetful);

    expect(found).toContain('7 RESOLVES_UNKNOWN');
    expect(found).toContain('10 RESOLVES_UNKNOWN');
  });

  test('that a resolution was exchanged for another', async () => {
    const copy = await audited(ledger);
    const [, second] = ledger.resolutions;
    const exchanging = answering(copy.store, {
      kept: async (registryId) =>
        (await copy.store.kept(registryId)).map((kept) =>
          kept.kind === 'resolution' && second !== undefined
            ? { ...kept, statement: second.signed.statement as typeof kept.statement }
            : kept,
        ),
    });

    expect(await runWith(copy, exchanging)).toContain('7 RESOLVES_UNKNOWN');
  });
});

async function runWith(
  { ports, registryId }: Awaited<ReturnType<typeof audited>>,
  store: Parameters<typeof answering>[0],
): Promise<string[]> {
  return foundIn(await runAudit({ ...ports, store }, registryId, WHOLE));
}

describe('confirmations of an older copy', () => {
  const sequence = 4 as Sequence;

  async function afterSetAside(olderDigest: string) {
    const copy = await audited(ledger);
    const confirmation = b.sign({
      ...{ format: 'registry/confirmation/v1', registryId: ledger.registryId, sequence, copy: 1 },
      ...{ digest: other, signer: b.certificateId, confirmedAt: '2026-11-22T10:00:00.000Z' },
    } as never);
    const checkpoint = a.sign({
      ...{ format: 'registry/checkpoint/v1', registryId: ledger.registryId, sequence, copy: 1 },
      ...{ digest: other, signer: a.certificateId, issuedAt: '2026-11-22T10:00:00.000Z' },
    } as never);
    await copy.store.putConfirmation(
      ledger.registryId,
      {
        ...{ signer: b.certificateId, sequence, digest: other, copy: 1, statement: confirmation },
        ...{ checkpoint, confirmedAt: '2026-11-22T10:00:00.000Z', receivedAt: '' },
      },
      'received',
    );
    // The second copy is the ledger; the first one held another entry in that place.
    const store = answering(copy.store, {
      head: async (registryId) => {
        const head = await copy.store.head(registryId);
        return head && { ...head, copy: 2 };
      },
      entriesAt: async (registryId, of, sequences) => {
        const found = await copy.store.entriesAt(registryId, 1, sequences);
        return of === 2 ? found : found.map((each) => ({ ...each, digest: olderDigest as never }));
      },
    });
    return runWith(copy, store);
  }

  test('may name what that copy held', async () => {
    expect(await afterSetAside(other)).toEqual([]);
  });

  test('are wrong where no copy held it', async () => {
    expect(await afterSetAside(ledger.registryId)).toEqual(['4 CHECKPOINT_DIFFERS']);
  });
});
