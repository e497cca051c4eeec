import * as z from 'zod';

/** The place in a list that numbers order, from 0: what its cursors carry. */
export const sequencePosition = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,14})$/)
  .transform(Number);
