import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createFanOut } from './fan-out.ts';

export const handler = createFanOut(instanceFrom(process.env));
