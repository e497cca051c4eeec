import { instanceFrom } from '../shared/adapters/aws/instance.ts';
import { createPeerApi } from './peer-api.ts';

export const handler = createPeerApi(instanceFrom(process.env));
