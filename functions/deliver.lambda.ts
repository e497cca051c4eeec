import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createDeliver } from './deliver.ts';

export const handler = createDeliver(instanceFrom(process.env));
