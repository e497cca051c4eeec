import { createHash } from 'node:crypto';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { type Bench, interleaved, median, processorSecondsOf, ratesRatio } from './bench.ts';
import { generatedLedger } from './generated-ledger.ts';

/** Verifying needs the bytes parsed, judged and linked; hashing them is what nobody can avoid. */
export const verifySpeed: Bench = {
  name: 'verify-speed',
  needs: 'nothing',
  run: async ({ quick, rounds }) => {
    const entries = quick ? 1000 : 100_000;
    const lines = linesOf(entries);
    const verify = () => processorSecondsOf(() => verifyAll(lines, entries));
    const hash = () => processorSecondsOf(() => hashAll(lines));
    verify();
    hash();
    const measured = await interleaved(rounds, { one: verify, other: hash });
    const bytes = lines.reduce((sum, line) => sum + line.length, 0);
    const microseconds = (seconds: readonly number[]) =>
      ((median(seconds) / entries) * 1e6).toFixed(1);
    return {
      figures: [
        {
          title:
            `verification of ${entries.toLocaleString('en')} exported entries on one core, ` +
            'rules and links included, against one `createHash` a line',
          goal: { at: 'least', value: 0.25 },
          values: ratesRatio(measured, { one: entries, other: entries }),
        },
      ],
      notes: [
        `${(lines.length / entries).toFixed(2)} lines and ${Math.round(bytes / entries)} bytes an ` +
          'entry (transaction, details, entry; four versions a document). Verifying takes ' +
          `${microseconds(measured.one)} µs an entry, hashing ${microseconds(measured.other)} µs.`,
        "The ledger carries the head's checkpoint and the confirmations of two mirrors there. Each " +
          `further statement takes ${statementMicroseconds(quick ? 20 : 2000).toFixed(0)} µs more, ` +
          'nearly all of it the ECDSA signature: an export in which every entry was confirmed ' +
          'for itself is as slow as its signatures.',
      ],
    };
  },
};

const CHUNK_BYTES = 1 << 20;

/** The lines as parts of large chunks, as whoever reads a file has them. */
function linesOf(entries: number): Buffer[] {
  const lines: Buffer[] = [];
  let open: Buffer[] = [];
  let bytes = 0;
  const close = () => {
    const chunk = Buffer.concat(open);
    let from = 0;
    for (const { length } of open) {
      lines.push(chunk.subarray(from, from + length));
      from += length;
    }
    open = [];
    bytes = 0;
  };
  for (const line of generatedLedger({ entries, versions: 4, statementsEvery: entries })) {
    open.push(line);
    bytes += line.length;
    if (bytes >= CHUNK_BYTES) close();
  }
  close();
  return lines;
}

function verifyAll(lines: readonly Buffer[], entries: number): void {
  const verifier = new LedgerVerifier({ rules: true });
  for (const line of lines) verifier.line(line);
  const report = verifier.end();
  if (report.outcome === 'wrong' || report.entries !== entries)
    throw new Error(`the generated ledger does not verify: ${JSON.stringify(report)}`);
}

function hashAll(lines: readonly Buffer[]): void {
  for (const line of lines) createHash('sha256').update(line).digest('hex');
}

/** What it takes to verify one more signed statement. */
function statementMicroseconds(count: number): number {
  const [transaction, details, entry, checkpoint] = [
    ...generatedLedger({ entries: 1, versions: 1, statementsEvery: 1 }),
  ];
  const verifier = new LedgerVerifier({ rules: true });
  for (const line of [transaction, details, entry]) if (line !== undefined) verifier.line(line);
  const seconds = processorSecondsOf(() => {
    for (let n = 0; n < count; n += 1) if (checkpoint !== undefined) verifier.line(checkpoint);
  });
  if (verifier.end().outcome === 'wrong') throw new Error('the checkpoint does not verify');
  return (seconds / count) * 1e6;
}
