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
export function registryLines({
  registryId,
  head,
  openConflicts,
  peers,
}: RegistryAnswer): string[] {
  return [
    `registry ${registryId}`,
    `head     entry ${head.sequence}, digest ${head.digest}, ${head.timestamp}`,
    openConflicts.length === 0
      ? 'conflicts none'
      : `STOPPED  by ${openConflicts.length} open conflict(s): ${openConflicts.join(', ')}`,
    ...peers.map(({ peer, role, self, confirmedThrough, deliveredThrough, failures, lastError }) =>
      joined([
        `  ${role.padEnd(6)} ${short(peer)}${self ? ' (this instance)' : ''}`,
        confirmedThrough === undefined ? '' : `confirmed through ${confirmedThrough}`,
        deliveredThrough === undefined ? '' : `delivered through ${deliveredThrough}`,
        failures === 0 ? '' : `failed ${failures} times, last: ${lastError}`,
      ]),
    ),
  ];
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
  ]);
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
