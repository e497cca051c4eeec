import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createFetchDocuments } from './fetch-documents.ts';
import { invocation } from './invocation.ts';

export const handler = invocation(createFetchDocuments(instanceFrom(process.env)));
