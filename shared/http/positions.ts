import * as z from 'zod';

/** The place in a list that numbers order, from 0: what its cursors carry. */
export const sequencePosition = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,14})$/)
  .transform(Number);

/** A sequence in a query, from 1. */
export const sequenceText = z
  .string()
  .regex(/^[1-9][0-9]{0,14}$/, 'expected the sequence of an entry: 1, 2, 3 …')
  .transform(Number)
  .pipe(z.int().min(1));
