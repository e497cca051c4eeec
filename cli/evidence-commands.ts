/** The commands about evidence: receipts, confirmations, and taking words out. */
import { X509Certificate } from 'node:crypto';
import type { EntryConfirmations } from '../shared/client/verified-statements.ts';
import { isDigest } from '../shared/ledger/digest.ts';
import { type VerifiedReceipt, verifyReceipt } from '../shared/ledger/verify-receipt.ts';
import {
  CommandMistake,
  type Commands,
  type Given,
  numberOf,
  type Output,
  readBytes,
  readText,
  writeNew,
} from './command.ts';
import { entryOf, withClient } from './connected.ts';
import { confirmationTable, printable, receiptLines, short } from './tables.ts';

export const evidenceCommands: Commands = {
  receipt: {
    usage:
      'receipt --profile <file> --registry <id> --entry <sequence or transaction id> --out <file>',
    required: ['profile', 'registry', 'entry', 'out'],
    optional: [],
    run: receipt,
  },
  'verify-receipt': {
    usage: 'verify-receipt <file> --ca <certificate file> --registry <id>',
    required: ['file', 'ca', 'registry'],
    optional: [],
    positional: 'file',
    run: verify,
  },
  confirmations: {
    usage: 'confirmations --profile <file> --registry <id> [--from <sequence>] [--to <sequence>]',
    required: ['profile', 'registry'],
    optional: ['from', 'to'],
    run: confirmations,
  },
  redact: {
    usage: 'redact --profile <file> --registry <id> --entry <sequence> --reason <text>',
    required: ['profile', 'registry', 'entry', 'reason'],
    optional: [],
    run: redact,
  },
};

async function receipt(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const found = await client.entry(given.value('registry'), entryOf(given));
    const out = given.value('out');
    await writeNew(out, found.bytes);
    output(`${out}: ${found.bytes.length} bytes, verified`);
    for (const line of receiptLines(found.receipt)) output(line);
  });
}

/** Offline: nothing is asked of anybody. */
async function verify(given: Given, output: Output): Promise<void> {
  const file = given.value('file');
  const registryId = given.value('registry');
  if (!isDigest(registryId))
    throw new CommandMistake(`--registry ${registryId}: expected a registry id, 64 hex digits`);
  const clusterCaPem = await authoritiesIn(given.value('ca'));
  const found = verifyReceipt(await readBytes(file), { registryId, clusterCaPem });
  if (found.outcome === 'refused') {
    const otherCa = found.detail.includes('(CERTIFICATE_UNTRUSTED)');
    const or = otherCa ? ', or this is the CA of another cluster' : '';
    throw new CommandMistake(`${file}: WRONG: ${found.code}: ${found.detail}${or}`);
  }
  output(`${file}: sound: registry ${registryId}`);
  for (const line of [...receiptLines(found), ...contentLines(found)]) output(line);
}

/** The text of a file with the certificate of a CA. */
export async function authoritiesIn(file: string): Promise<string> {
  const pem = await readText(file);
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (!readable(blocks).some(({ ca }) => ca))
    throw new CommandMistake(
      `${file} holds no CA certificate: expected that of the cluster, one or more in PEM`,
    );
  return pem;
}

function readable(blocks: readonly string[]): X509Certificate[] {
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}

/** What the entry records, and in whose words. */
function contentLines({ transaction, timestamp, details, redaction }: VerifiedReceipt): string[] {
  const { format: _format, type, ...members } = transaction;
  const { format: _, salt: _salt, ...words } = details ?? { format: '', salt: '' };
  const rows = Object.entries({ ...members, ...words }).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return `  ${name.padEnd(14)} ${printable(text)}`;
  });
  return [
    `${type}, appended ${timestamp} by the lead's clock`,
    ...rows,
    ...(redaction === undefined
      ? []
      : [
          `  redacted at ${short(redaction.signer)} by ${short(redaction.decidedBy)}: ` +
            printable(redaction.reason),
        ]),
  ];
}

async function confirmations(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const from = numberOf(given.optional('from'), 'from');
    const to = numberOf(given.optional('to'), 'to');
    const range = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
    const rows: EntryConfirmations[] = [];
    for await (const row of client.confirmations(given.value('registry'), range)) rows.push(row);
    for (const line of confirmationTable(rows)) output(line);
  });
}

async function redact(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const sequence = numberOf(given.value('entry'), 'entry') ?? 0;
    const reason = given.value('reason');
    const registryId = given.value('registry');
    const { receipt: earlier } = await client.entry(registryId, sequence);
    const { receipt: found } = await client.redact(registryId, sequence, { reason });
    const { decidedBy = '', signer = '', reason: kept = '' } = found.redaction ?? {};
    if (earlier.redaction !== undefined) {
      output(`entry ${sequence}: its details were redacted before, at ${short(signer)}`);
      output(`decided by ${decidedBy}; this reason stays: ${printable(kept)}`);
      return;
    }
    output(`entry ${sequence}: its details are gone from the copy of ${short(signer)}`);
    output(`decided by ${decidedBy}; its digest stays ${found.digest}`);
  });
}
