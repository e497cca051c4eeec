/** The export of a ledger of any length, line by line in constant memory. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Link } from '../../shared/ledger/backlinks.ts';
import { certificateIdOfJwk } from '../../shared/ledger/certificate.ts';
import { type ChainHead, extendHead, nextEntry } from '../../shared/ledger/chain.ts';
import { checkpointOf } from '../../shared/ledger/checkpoint.ts';
import { confirmationOf } from '../../shared/ledger/confirmation.ts';
import { type CertificateId, type Digest, digestOf } from '../../shared/ledger/digest.ts';
import { linkTo, type ReadEntry } from '../../shared/ledger/entry.ts';
import { type PublicKeyJwk, type Statement, signStatement } from '../../shared/ledger/jws.ts';
import { encodeSignedLine } from '../../shared/ledger/signed-line.ts';
import type { Transaction } from '../../shared/ledger/transaction.ts';

export interface LedgerShape {
  readonly entries: number;
  /** Consecutive entries are versions of one document, as many as this. */
  readonly versions: number;
  /** The checkpoint and the mirrors' confirmations stand after every so many, and at the end. */
  readonly statementsEvery: number;
}

const MIRRORS = 2;

/** Yields transaction, details and entry each, and the statements: an export without newlines. */
export function* generatedLedger(shape: LedgerShape): Generator<Buffer> {
  const { entries, versions, statementsEvery } = shape;
  const lead = newPeer();
  const mirrors = Array.from({ length: MIRRORS }, newPeer);
  let head: ChainHead | undefined;
  let previous: Link | undefined;
  for (let sequence = 1; sequence <= entries; sequence += 1) {
    const place = sequence - 2;
    const made =
      sequence === 1
        ? creation([lead, ...mirrors])
        : upload(Math.floor(place / versions), (place % versions) + 1);
    const subject = sequence === 1 || place % versions === 0 ? undefined : previous;
    const read = placed(head, made, subject);
    head = extendHead(head, read, made.transaction);
    previous = linkTo(read);
    yield made.bytes;
    yield made.details;
    yield Buffer.from(read.bytes);
    if (sequence % statementsEvery === 0 || sequence === entries)
      yield* statements(head, lead, mirrors);
  }
}

interface Peer {
  readonly id: CertificateId;
  readonly key: KeyObject;
  readonly jwk: PublicKeyJwk;
}

function newPeer(): Peer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const jwk = { crv: 'P-256', kty: 'EC', x, y } as const;
  return { id: certificateIdOfJwk(jwk), key: privateKey, jwk };
}

interface Made {
  readonly transaction: Transaction;
  readonly bytes: Buffer;
  readonly details: Buffer;
  readonly digest: Digest;
}

function placed(head: ChainHead | undefined, made: Made, subject: Link | undefined): ReadEntry {
  const placement = {
    transaction: made.transaction,
    transactionDigest: made.digest,
    resolves: [],
    ...(subject === undefined ? {} : { subject }),
  };
  const timestamp = new Date(START_MS + 1000 * (head?.sequence ?? 0)).toISOString();
  return nextEntry(head, placement, timestamp);
}

const START_MS = Date.parse('2026-01-01T00:00:00.000Z');

function creation(peers: readonly Peer[]): Made {
  const list = peers.map(({ id }) => id);
  const seed = digestOf('creation');
  const details = detailsOf('Neubau Grundschule Musterstadt', seed);
  const text =
    `{"detailsDigest":"${digestOf(details)}","format":"registry/transaction/v1",` +
    `"peers":${JSON.stringify(list)},"transactionId":"${uuidOf(seed)}","type":"create-registry"}`;
  return made(text, details, JSON.parse(text));
}

/** What the chain looks at of any transaction without peers. */
const UPLOAD = { type: 'upload-document' } as Transaction;

/** Canonical text, spelled out: a million of them are made while others are measured. */
function upload(document: number, version: number): Made {
  const seed = digestOf(`document ${document}`);
  const details = detailsOf(`Grundriss Erdgeschoß, Bauteil ${document}`, seed);
  const text =
    `{"contentDigest":"${seed}","detailsDigest":"${digestOf(details)}",` +
    `"documentId":"ARC-${document}","format":"registry/transaction/v1",` +
    `"mediaType":"application/pdf","size":1048576,` +
    `"transactionId":"${uuidOf(seed, version)}","type":"upload-document","version":${version}}`;
  return made(text, details, UPLOAD);
}

function made(text: string, details: Buffer, transaction: Transaction): Made {
  const bytes = Buffer.from(text);
  return { transaction, bytes, details, digest: digestOf(bytes) };
}

function detailsOf(name: string, seed: Digest): Buffer {
  const salt = seed.slice(32);
  return Buffer.from(`{"format":"registry/details/v1","name":"${name}","salt":"${salt}"}`);
}

/** Spread like random ones, and the same in every run. */
function uuidOf(seed: Digest, version = 0): string {
  const last = version.toString(16).padStart(4, '0') + seed.slice(20, 28);
  return `${seed.slice(0, 8)}-${seed.slice(8, 12)}-4${seed.slice(13, 16)}-8${seed.slice(17, 20)}-${last}`;
}

function* statements(head: ChainHead, lead: Peer, mirrors: readonly Peer[]): Generator<Buffer> {
  const { registryId, sequence, digest, timestamp } = head;
  const stated = { registryId, sequence, digest, copy: 1 };
  yield signed(lead, checkpointOf({ ...stated, signer: lead.id, issuedAt: timestamp }));
  for (const mirror of mirrors)
    yield signed(mirror, confirmationOf({ ...stated, signer: mirror.id, confirmedAt: timestamp }));
}

function signed({ key, jwk }: Peer, statement: Statement): Buffer {
  return encodeSignedLine(signStatement(statement, key, jwk));
}
