import { createHash } from 'node:crypto';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { type Bench, interleaved, median, ratesRatio, secondsOf } from './bench.ts';
import { CONFIRMED_EVERY, generatedLedger } from './generated-ledger.ts';

/** Verifying needs the bytes parsed, judged and linked; hashing them is what nobody can avoid. */
export const verifySpeed: Bench = {
  name: 'verify-speed',
  run: async ({ quick, rounds }) => {
    const entries = quick ? 1000 : 100_000;
    const lines = [...generatedLedger({ entries, versions: 4 })];
    const verify = () => secondsOf(() => verifyAll(lines, entries));
    const hash = () => secondsOf(() => hashAll(lines));
    await verify();
    await hash();
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
          'entry (transaction, details, entry; four versions a document), with the checkpoint and ' +
          `the confirmations of two mirrors every ${CONFIRMED_EVERY} entries. Verifying takes ` +
          `${microseconds(measured.one)} µs an entry, hashing ${microseconds(measured.other)} µs.`,
      ],
    };
  },
};

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
