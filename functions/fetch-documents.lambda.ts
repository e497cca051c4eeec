import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createFetchDocuments } from './fetch-documents.ts';

export const handler = createFetchDocuments(instanceFrom(process.env));
