import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createDeliver } from './deliver.ts';
import { invocation } from './invocation.ts';

export const handler = invocation(createDeliver(instanceFrom(process.env)));
