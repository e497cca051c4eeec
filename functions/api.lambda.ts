import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createApi } from './api.ts';

export const handler = createApi(instanceFrom(process.env));
