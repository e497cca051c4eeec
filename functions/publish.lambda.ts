import { publicationFrom } from '../shared/adapters/aws/instance.ts';
import { invocation } from './invocation.ts';
import { createPublish } from './publish.ts';

export const handler = invocation(createPublish(publicationFrom(process.env)));
