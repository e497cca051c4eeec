import { publicationFrom } from '../shared/adapters/aws/instance.ts';
import { createPublish } from './publish.ts';

export const handler = createPublish(publicationFrom(process.env));
