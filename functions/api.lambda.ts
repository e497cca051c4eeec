import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createApi } from './api.ts';
import { invocation } from './invocation.ts';

export const handler = invocation(createApi(instanceFrom(process.env)));
