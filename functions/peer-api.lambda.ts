import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { invocation } from './invocation.ts';
import { createPeerApi } from './peer-api.ts';

export const handler = invocation(createPeerApi(instanceFrom(process.env)));
