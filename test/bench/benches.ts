import { appendArray, appendConcurrent } from './append-many.ts';
import { appendOne } from './append-one.ts';
import type { Bench } from './bench.ts';
import { bundles } from './bundles.ts';
import { catchUp } from './catch-up.ts';
import { deadMirror } from './dead-mirror.ts';
import { receipts } from './receipts.ts';
import { verifyMemory } from './verify-memory.ts';
import { verifySpeed } from './verify-speed.ts';

/** In the order in which they run: what leaves the least behind comes first. */
export const benches: readonly Bench[] = [
  bundles,
  verifySpeed,
  verifyMemory,
  receipts,
  appendOne,
  appendArray,
  appendConcurrent,
  deadMirror,
  catchUp,
];
