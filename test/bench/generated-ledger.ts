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
}

/** Two mirrors confirm every so many entries: what one delivery brings, in commits of 24. */
export const CONFIRMED_EVERY = 96;
const MIRRORS = 2;

/** Yields transaction, details and entry each, and the statements: an export without newlines. */
export function* generatedLedger({ entries, versions }: LedgerShape): Generator<Buffer> {
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
    if (sequence % CONFIRMED_EVERY === 0 || sequence === entries)
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
  const list = peers.map(({ id }) => `"${id}"`).join(',');
  const details = detailsNamed('Neubau Grundschule Musterstadt');
  return made(
    `{"detailsDigest":"${digestOf(details)}","format":"registry/transaction/v1",` +
      `"peers":[${list}],"transactionId":"${uuidOf('creation')}","type":"create-registry"}`,
    details,
  );
}

/** Canonical text, spelled out: a million of them are made while memory is measured. */
function upload(document: number, version: number): Made {
  const documentId = uuidOf(`document ${document}`);
  const details = detailsNamed(`Grundriss Erdgeschoß, Bauteil ${document}`);
  return made(
    `{"contentDigest":"${digestOf(`${document} ${version}`)}",` +
      `"detailsDigest":"${digestOf(details)}","documentId":"${documentId}",` +
      '"format":"registry/transaction/v1","mediaType":"application/pdf","size":1048576,' +
      `"transactionId":"${uuidOf(`${document} ${version}`)}","type":"upload-document",` +
      `"version":${version}}`,
    details,
  );
}

function made(text: string, details: Buffer): Made {
  const bytes = Buffer.from(text);
  return { transaction: JSON.parse(text), bytes, details, digest: digestOf(bytes) };
}

function detailsNamed(name: string): Buffer {
  const salt = digestOf(name).slice(0, 32);
  return Buffer.from(`{"format":"registry/details/v1","name":"${name}","salt":"${salt}"}`);
}

/** Spread like random ones, and the same in every run. */
function uuidOf(text: string): string {
  const hex = digestOf(text);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`];
  return [...parts, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
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
