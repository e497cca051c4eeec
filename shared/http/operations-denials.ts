/** Operations about whom the instance neither serves nor calls. */
import * as z from 'zod';
import { certificateIdSchema, timestampSchema } from '../ledger/schema.ts';
import { defineOperations } from './operation.ts';
import { jsonBody } from './request-body.ts';
import { OPERATORS } from './roles.ts';
import { named } from './schema-names.ts';

const DIGEST = '6a1bc1547239c62178de0554fa651fdee8356c6c5ced3337a479791e61383abc';

const denied = named('Denied', 'Whom this instance neither serves nor calls.', () =>
  z.strictObject({
    denied: z.array(
      z.strictObject({
        certificateId: certificateIdSchema,
        inFile: z.boolean(),
        deniedBy: certificateIdSchema.exactOptional(),
        deniedAt: timestampSchema.exactOptional(),
      }),
    ),
  }),
);

export const denialOperations = defineOperations({
  listDenied: {
    method: 'GET',
    path: '/v1/denied',
    tag: 'instance',
    summary: 'Whom this instance neither serves nor calls',
    description:
      'The certificate ids of its file (`inFile`), which only a deployment takes off, and those ' +
      'that an operator denied.',
    roles: ['operator', 'auditor'],
    answers: { 200: { description: 'All that are denied.', schema: denied } },
    problems: [],
  },
  changeDenied: {
    method: 'POST',
    path: '/v1/denied',
    tag: 'instance',
    summary: 'Deny a certificate, or no longer',
    description:
      'In force within 60 seconds, for calls of that certificate and for calls to it, whatever ' +
      'else it is. Repeated, nothing changes.',
    roles: OPERATORS,
    body: jsonBody(
      named('Denial', 'A certificate id, and whether it is denied from now on.', () =>
        z.strictObject({ certificateId: certificateIdSchema, denied: z.boolean() }),
      ),
      'Who is denied.',
      { certificateId: DIGEST, denied: true },
    ),
    answers: { 200: { description: 'All that are denied now.', schema: denied } },
    problems: ['DENIAL_NOT_ALLOWED', 'BUSY'],
  },
});
