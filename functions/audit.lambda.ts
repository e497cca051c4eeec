import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createAudit } from './audit.ts';

export const handler = createAudit(instanceFrom(process.env));
