import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { invocation } from './invocation.ts';
import { createSweep } from './sweep.ts';

export const handler = invocation(createSweep(instanceFrom(process.env)));
