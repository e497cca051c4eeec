import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createAudit } from './audit.ts';
import { invocation } from './invocation.ts';

export const handler = invocation(createAudit(instanceFrom(process.env)));
