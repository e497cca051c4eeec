import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { createCertificateAuthority, issueInstanceCertificate } from '../../cli/certificates.ts';
import { backlinkPath, type Tower } from '../../shared/ledger/backlinks.ts';
import { readCertificate } from '../../shared/ledger/certificate.ts';
import { type ChainHead, extendHead, nextEntry } from '../../shared/ledger/chain.ts';
import { checkpointOf } from '../../shared/ledger/checkpoint.ts';
import { confirmationOf } from '../../shared/ledger/confirmation.ts';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { ReadEntry } from '../../shared/ledger/entry.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { buildReceipt } from '../../shared/ledger/receipt.ts';
import { type ReceiptTrust, verifyReceipt } from '../../shared/ledger/verify-receipt.ts';
import {
  createRegistry,
  readTestTransaction,
  type TestPeer,
  type TestTransaction,
  testPeers,
  timeAfter,
  uploadDocument,
} from '../builders.ts';
import { type Bench, interleaved, median, processorSecondsOf, ratesRatio } from './bench.ts';

/** What it takes to check receipts of a large ledger, and how large they are. */
export const receipts: Bench = {
  name: 'receipts',
  needs: 'nothing',
  run: async ({ quick, rounds }) => {
    const count = quick ? 10 : 200;
    const far = quick ? 1_000 : 100_000;
    const swarm = await newSwarm();
    const ledger = largeLedger(swarm, { count, far });
    const many = Array.from({ length: count }, (_, index) => nearReceipt(swarm, ledger, index));
    const statements = many.flatMap((receipt) => receipt.statements);
    const verifyAll = () => processorSecondsOf(() => verifyReceipts(swarm, many));
    const bare = bareVerification(swarm, statements);
    verifyAll();
    const measured = await interleaved(rounds, {
      one: verifyAll,
      other: () => processorSecondsOf(bare),
      turns: quick ? 1 : 5,
    });
    const sizes = many.map(({ bytes }) => bytes).toSorted((x, y) => x - y);
    const worst = farReceipt(swarm, ledger);
    verifyReceipts(swarm, [worst]);
    const perSecond = (count * (quick ? 1 : 5)) / median(measured.one);
    return {
      figures: [
        {
          title:
            'receipts verified on one core, certificates known, against as many bare ECDSA ' +
            'verifications as they hold statements',
          goal: { at: 'least', value: 0.5 },
          values: ratesRatio(measured, { one: 1, other: 1 }),
        },
        {
          title:
            'size of a receipt at a million entries, one lead and three mirrors that confirm every ' +
            'ten entries, without transaction and details',
          goal: { at: 'most', value: 15 },
          values: Array.from({ length: rounds }, () => median(sizes) / 1000),
          unit: 'KB',
        },
      ],
      notes: [
        `${Math.round(perSecond)} receipts a second (goal: 500), each with ` +
          `${statements.length / count} statements, ` +
          `${median(many.map(({ path }) => path))} entries on the path and 4 certificates.`,
        `Of ${count} consecutive entries from ${FIRST.toLocaleString('en')} on the smallest ` +
          `receipt has ${kilobytes(sizes[0])}, the largest ${kilobytes(sizes.at(-1))}, without ` +
          'transaction and details.',
        `Where the mirrors confirmed some ${far.toLocaleString('en')} entries later it has ` +
          `${kilobytes(worst.bytes)}, ${worst.path} entries on the path.`,
      ],
    };
  },
};

function kilobytes(bytes = 0): string {
  return `${(bytes / 1000).toFixed(1)} KB`;
}

/** The receipts are of this entry and those after it. */
const FIRST = 1_000_000;
const MIRRORS = 3;

interface Swarm {
  readonly lead: TestPeer;
  readonly mirrors: readonly TestPeer[];
  readonly certificates: readonly Uint8Array[];
  readonly clusterCaPem: string;
}

/** With certificates as the command line issues them. */
async function newSwarm(): Promise<Swarm> {
  const [lead, ...mirrors] = testPeers(1 + MIRRORS);
  if (lead === undefined) throw new Error('a swarm has a lead');
  const authority = await createCertificateAuthority({ name: 'Musterstadt Cluster CA' });
  const certificates: Uint8Array[] = [];
  for (const [index, peer] of [lead, ...mirrors].entries()) {
    const keyPem = peer.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    const endpoint = `https://registry-${index}.musterstadt.example`;
    const wanted = { authority, name: `instance ${index}`, endpoint, keyPem };
    const read = readCertificate((await issueInstanceCertificate(wanted)).certificatePem);
    if (read.outcome === 'refused') throw new Error(read.reason);
    certificates.push(read.certificate.raw);
  }
  return { lead, mirrors, certificates, clusterCaPem: authority.certificatePem };
}

interface Recorded {
  readonly read: ReadEntry;
  readonly content: TestTransaction;
}

interface LargeLedger {
  readonly creation: Recorded;
  readonly count: number;
  readonly far: number;
  /** Those that receipts need, by sequence. */
  readonly entries: ReadonlyMap<number, Recorded>;
}

/**
 * The end of a ledger of a million entries. Nothing leads below the first entry that a receipt is
 * of, so what is below is made up of digests alone; from there on all links are real.
 */
function largeLedger(
  { lead, mirrors }: Swarm,
  { count, far }: { readonly count: number; readonly far: number },
): LargeLedger {
  const creation = recorded(undefined, createRegistry([lead, ...mirrors]));
  const needed = new Set(farPlaces(far).flatMap((from) => backlinkPath(from, FIRST)));
  const entries = new Map<number, Recorded>();
  let head: ChainHead = {
    ...extendHead(undefined, creation.read, transactionOf(creation)),
    sequence: (FIRST - 1) as Sequence,
    tower: madeUpTower(FIRST - 1),
  };
  const last = FIRST + Math.max(far, count + 2 * EVERY);
  for (let sequence = FIRST; sequence <= last; sequence += 1) {
    const added = recorded(head, uploadDocument(`ARC-${sequence}`));
    head = extendHead(head, added.read, transactionOf(added));
    if (needed.has(sequence) || sequence <= FIRST + count + 2 * EVERY) entries.set(sequence, added);
  }
  return { creation, entries, count, far };
}

function madeUpTower(sequence: number): Tower {
  const tower: Tower[number][] = [];
  for (let step = 1; step <= sequence; step *= 2) {
    const newest = (sequence - (sequence % step)) as Sequence;
    tower.push({ sequence: newest, digest: digestOf(`entry ${newest}`) });
  }
  return tower;
}

function transactionOf({ content }: Recorded) {
  return readTestTransaction(content).transaction;
}

function recorded(head: ChainHead | undefined, content: TestTransaction): Recorded {
  const { transaction, digest } = readTestTransaction(content);
  const placement = { transaction, transactionDigest: digest, resolves: [] };
  return { read: nextEntry(head, placement, timeAfter(head?.sequence ?? 0)), content };
}

interface Receipt {
  readonly receipt: Buffer;
  /** Without transaction and details. */
  readonly bytes: number;
  readonly path: number;
  readonly statements: readonly Compact[];
  readonly registryId: Digest;
}

/** Commits have so many entries, and each mirror confirms after so many, not all at once. */
const COMMIT = 4;
const EVERY = 10;

function nearReceipt(swarm: Swarm, ledger: LargeLedger, index: number): Receipt {
  const sequence = FIRST + index;
  const endOfCommit = (from: number) => Math.ceil(from / COMMIT) * COMMIT;
  const confirmed = swarm.mirrors.map((_, mirror) => {
    const phase = 3 * mirror;
    return endOfCommit(Math.ceil((sequence - phase) / EVERY) * EVERY + phase);
  });
  return receiptOf(swarm, ledger, { sequence, checkpointed: endOfCommit(sequence), confirmed });
}

function farReceipt(swarm: Swarm, ledger: LargeLedger): Receipt {
  const confirmed = farPlaces(ledger.far);
  return receiptOf(swarm, ledger, { sequence: FIRST, checkpointed: FIRST, confirmed });
}

/** Where mirrors confirm that were behind, each at another entry. */
function farPlaces(far: number): number[] {
  return Array.from({ length: MIRRORS }, (_, mirror) => FIRST + far - 33 * mirror);
}

interface Place {
  readonly sequence: number;
  readonly checkpointed: number;
  /** By mirror. */
  readonly confirmed: readonly number[];
}

function receiptOf(
  { lead, mirrors, certificates }: Swarm,
  ledger: LargeLedger,
  { sequence, checkpointed, confirmed }: Place,
): Receipt {
  const at = (wanted: number) => {
    const found = ledger.entries.get(wanted);
    if (found === undefined) throw new Error(`entry ${wanted} was not kept`);
    return found;
  };
  const stated = (wanted: number, peer: TestPeer) => {
    const { digest, entry } = at(wanted).read;
    const { registryId } = entry;
    return { registryId, sequence: entry.sequence, digest, copy: 1, signer: peer.certificateId };
  };
  const { read, content } = at(sequence);
  const issuedAt = read.entry.timestamp;
  const checkpoint = lead.sign(checkpointOf({ ...stated(checkpointed, lead), issuedAt }));
  const confirmations = mirrors.map((mirror, index) =>
    mirror.sign(
      confirmationOf({ ...stated(confirmed[index] ?? 0, mirror), confirmedAt: issuedAt }),
    ),
  );
  const ways = new Set(
    [checkpointed, ...confirmed].flatMap((from) => backlinkPath(from, sequence)),
  );
  ways.delete(sequence);
  const receipt = buildReceipt({
    ...content,
    entry: read.bytes,
    checkpoint,
    configurations: [
      { entry: ledger.creation.read.bytes, transaction: ledger.creation.content.transaction },
    ],
    handOvers: [],
    confirmations,
    path: [...ways].map((each) => at(each).read.bytes),
    certificates,
  });
  const { transaction, details } = content;
  return {
    receipt,
    bytes: receipt.length - transaction.length - (details?.length ?? 0),
    path: ways.size,
    statements: [checkpoint, ...confirmations],
    registryId: read.entry.registryId,
  };
}

function verifyReceipts({ clusterCaPem }: Swarm, many: readonly Receipt[]): void {
  for (const { receipt, registryId } of many) {
    const trust: ReceiptTrust = { clusterCaPem, registryId };
    const outcome = verifyReceipt(receipt, trust);
    if (outcome.outcome !== 'verified' || outcome.status.status !== 'final')
      throw new Error(`a receipt does not verify: ${JSON.stringify(outcome)}`);
  }
}

/** The signatures alone: keys imported, texts decoded beforehand. */
function bareVerification({ lead, mirrors }: Swarm, statements: readonly Compact[]): () => void {
  const keys = [lead, ...mirrors].map(({ key }): KeyObject => createPublicKey(key));
  const decoded = statements.map((compact, index) => {
    const [header = '', payload = '', signature = ''] = compact.split('.');
    return {
      key: { key: keys[index % keys.length] as KeyObject, dsaEncoding: 'ieee-p1363' } as const,
      input: Buffer.from(`${header}.${payload}`),
      signature: Buffer.from(signature, 'base64url'),
    };
  });
  return () => {
    for (const { key, input, signature } of decoded)
      if (!verify('sha256', input, key, signature)) throw new Error('a signature is wrong');
  };
}
