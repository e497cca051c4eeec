/**
 * Verifies a generated ledger in a process of its own and prints what that took, as JSON. Started by
 * verify-memory.ts with --expose-gc; arguments: entries, and `rules` or `links`.
 */
import { readFileSync } from 'node:fs';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { generatedLedger } from './generated-ledger.ts';

export interface MemoryUse {
  /** After a collection, with the verifier still in use. */
  readonly heldBytes: number;
  readonly peakResidentBytes: number;
}

const [, , entries = '', checks = ''] = process.argv;
const verifier = new LedgerVerifier({ rules: checks === 'rules' });
// Each document has one version: the most that the state can hold for an entry.
const shape = { entries: Number(entries), versions: 1, statementsEvery: 1000 };
for (const line of generatedLedger(shape)) verifier.line(line);
const use = { heldBytes: heldBytes(), peakResidentBytes: peakResidentBytes() };
const report = verifier.end();
if (report.outcome === 'wrong' || report.entries !== Number(entries))
  throw new Error(`the generated ledger does not verify: ${JSON.stringify(report)}`);
process.stdout.write(JSON.stringify(use satisfies MemoryUse));

function heldBytes(): number {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  // Array buffers are part of what is external.
  return heapUsed + external;
}

/**
 * Of this program alone. What `process.resourceUsage` tells is no less than the memory that the
 * process had which started this one.
 */
function peakResidentBytes(): number {
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  if (kibibytes === undefined)
    throw new Error('/proc/self/status does not tell the peak (VmHWM): measure memory on Linux');
  return Number(kibibytes) * 1024;
}
