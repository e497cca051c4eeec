/** Answers of an instance, and what was proven of them, as lines for people. */
import type { RegistryAnswer } from '../shared/client/answers.ts';
import type { DocumentVersion } from '../shared/client/verified-documents.ts';
import type { SigningRequest } from '../shared/client/verified-requests.ts';
import type { EntryConfirmations } from '../shared/client/verified-statements.ts';
import type { CertificateId } from '../shared/ledger/digest.ts';
import type { ReceiptStatus, VerifiedReceipt } from '../shared/ledger/verify-receipt.ts';

/** Enough of a digest or an id to tell it from others. */
export function short(id: string): string {
  return id.slice(0, 8);
}

/** Who confirmed an entry, and when, as its receipt proves it. */
export function receiptLines(receipt: VerifiedReceipt): string[] {
  const { sequence, digest, status, configuration, confirmations } = receipt;
  const [lead = '', ...mirrors] = configuration.peers;
  const row = (role: string, peer: string, what: string) =>
    `  ${role.padEnd(6)} ${short(peer)}  ${what}`;
  return [
    `entry ${sequence}, digest ${digest}: ${statusText(status)}`,
    row('lead', lead, 'recorded it'),
    ...mirrors.map((peer) => {
      const found = confirmations.find((each) => each.peer === peer);
      return row(
        'mirror',
        peer,
        found === undefined
          ? 'has not confirmed'
          : `confirmed ${found.confirmedAt} (through entry ${found.sequence})`,
      );
    }),
  ];
}

/** A status in words, as protocol section 6 has them. */
export function statusText(status: ReceiptStatus): string {
  switch (status.status) {
    case 'recorded':
    case 'final':
      return status.status;
    case 'confirmed':
      return `confirmed by ${status.by} of ${status.of}`;
    case 'final-since': {
      const { since, without } = status;
      const names = without.length === 0 ? '' : ` without ${without.map(short).join(', ')}`;
      return `final since ${since}${names}`;
    }
  }
}

/** A registry's head and its peers, as one instance knows them. */
export function registryLines(answer: RegistryAnswer): string[] {
  const { registryId, head, role, configuration, peers } = answer;
  return [
    `registry ${registryId}`,
    `head     entry ${head.sequence}, digest ${head.digest}, ${head.timestamp}`,
    ...(answer.closed === true
      ? [`CLOSED   here at entry ${head.sequence}, for good: nothing is recorded here any more`]
      : []),
    ...(role === 'former'
      ? [`LEFT     no peer of this registry any more since entry ${configuration.sequence}`]
      : []),
    conflictsLine(answer),
    ...aligned([PEER_COLUMNS, ...peers.map(peerCells)]).map((line) => `  ${line}`),
  ];
}

/** Also where nothing is open here, and others still wait for their operators. */
function conflictsLine({ openConflicts, peers }: RegistryAnswer): string {
  if (openConflicts.length > 0)
    return `STOPPED  by ${openConflicts.length} open conflict(s): ${openConflicts.join(', ')}`;
  const stopped = peers.filter(({ awaitsAcceptance }) => awaitsAcceptance !== undefined);
  if (stopped.length === 0) return 'conflicts none';
  const names = stopped.map(({ peer }) => short(peer)).join(', ');
  const digests = [...new Set(stopped.map(({ awaitsAcceptance }) => awaitsAcceptance))];
  return (
    `conflicts none open here; STOPPED until their operators accept: ${names} ` +
    `(resolution ${digests.join(', ')})`
  );
}

type PeerRow = RegistryAnswer['peers'][number];

const PEER_COLUMNS = ['role', 'peer', 'state', 'confirmed', 'behind', 'delivered'] as const;

/** One peer of the list in force: one that was never heard of is a row like any other. */
function peerCells(peer: PeerRow): string[] {
  const { role, self, deliveredThrough, failures, lastError = '' } = peer;
  return [
    role,
    short(peer.peer),
    stateText(peer),
    confirmedText(peer),
    behindText(peer),
    deliveredThrough === undefined ? '-' : `through ${deliveredThrough}`,
    joined([
      self ? 'this instance' : '',
      failures === 0 ? '' : `failed ${failures} times, last: ${printable(lastError)}`,
    ]),
  ];
}

/** What has stopped it comes before how far it is. */
function stateText({ state, closedAt, awaitsAcceptance }: PeerRow): string {
  if (closedAt !== undefined) return `CLOSED at ${closedAt}`;
  return awaitsAcceptance === undefined ? printable(state) : 'to accept';
}

function confirmedText({ role, confirmedThrough }: PeerRow): string {
  if (role === 'lead') return LEAD_CELL;
  return confirmedThrough === undefined ? 'never confirmed' : `through ${confirmedThrough}`;
}

function behindText({ lagEntries, lagSeconds }: PeerRow): string {
  if (lagEntries === 0) return '-';
  return `${lagEntries} ${lagEntries === 1 ? 'entry' : 'entries'}, ${durationText(lagSeconds)}`;
}

const DURATIONS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const;

/** In the largest unit of which there are two or more. */
function durationText(seconds: number): string {
  for (const [unit, name] of DURATIONS)
    if (seconds >= 2 * unit) return `${Math.floor(seconds / unit)} ${name}`;
  return `${seconds} s`;
}

/** Rows as lines, each column as wide as its widest cell. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widthOf = (at: number) => Math.max(...rows.map((row) => row[at]?.length ?? 0));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widthOf(at)))
      .join('  ')
      .trimEnd(),
  );
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('  ');
}

/** A version in one line. */
export function versionLine(version: DocumentVersion): string {
  const { documentId, size, mediaType, entry, recordedAt } = version;
  return joined([
    `${documentId} version ${version.version}`,
    `entry ${entry.sequence}, ${recordedAt}`,
    `${size} bytes`,
    mediaType,
    named(version),
    supersededText(version),
  ]);
}

/** That people replaced or voided an entry: empty where nobody did. */
function supersededText({ superseded }: Pick<DocumentVersion, 'superseded'>): string {
  if (superseded === undefined) return '';
  const { by, replacement, reason } = superseded;
  const what =
    replacement === undefined ? `voided with entry ${by}` : `superseded by entry ${replacement}`;
  return `${what}: ${printable(reason)}`;
}

function named({ name, redacted }: Pick<DocumentVersion, 'name' | 'redacted'>): string {
  return redacted === true ? '(name redacted)' : printable(name ?? '');
}

/** Texts of others: a line stays a line, and a terminal is told nothing. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}

/** A signing request in one line, and its signature in another. */
export function requestLines(request: SigningRequest): string[] {
  const { requestId, status, documentId, version, purpose, dueAt, signer, signature } = request;
  const who = request.redacted === true ? '(signer redacted)' : printable(signer ?? '');
  return [
    joined([
      requestId,
      status.padEnd(7),
      `${documentId} version ${version}`,
      purpose,
      dueAt === undefined ? '' : `due ${dueAt}`,
      who,
      supersededText(request),
    ]),
    ...(signature === undefined
      ? []
      : [
          joined([
            '  signed',
            `entry ${signature.signedBy.sequence}, ${signature.signedAt}`,
            `by the signer's clock ${signature.claimedAt}`,
            `${signature.algorithm}${signature.legacy ? ' (legacy)' : ''}`,
          ]),
        ]),
  ];
}

const LEAD_CELL = 'leads';
const TIME_COLUMNS = 24;

/** Who confirmed which entry: a row an entry, a column a peer that leads or mirrors in one of them. */
export function confirmationTable(rows: readonly EntryConfirmations[]): string[] {
  const peers = [...new Set(rows.flatMap((row) => row.peers))];
  const statuses = rows.map(({ status }) => statusText(status));
  const width = Math.max('status'.length, ...statuses.map((status) => status.length));
  const line = (sequence: string, status: string, cells: readonly string[]) =>
    [sequence.padStart(8), status.padEnd(width), ...cells.map((cell) => cell.padEnd(TIME_COLUMNS))]
      .join('  ')
      .trimEnd();
  return [
    line('entry', 'status', peers.map(short)),
    ...rows.map((row, index) =>
      line(
        String(row.sequence),
        statuses[index] ?? '',
        peers.map((peer) => cellOf(row, peer)),
      ),
    ),
  ];
}

/** A dot: not in the list in force at the entry. */
function cellOf({ peers, confirmations }: EntryConfirmations, peer: CertificateId): string {
  const place = peers.indexOf(peer);
  if (place === -1) return '.';
  if (place === 0) return LEAD_CELL;
  return confirmations.find((each) => each.peer === peer)?.confirmedAt ?? '-';
}
