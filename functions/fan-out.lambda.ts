import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createFanOut } from './fan-out.ts';
import { invocation } from './invocation.ts';

export const handler = invocation(createFanOut(instanceFrom(process.env)));
