import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createSweep } from './sweep.ts';

export const handler = createSweep(instanceFrom(process.env));
