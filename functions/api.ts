import type { Instance, OpenInstance } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import type { CallerRole } from '../shared/http/caller.ts';
import { type HttpHandler, httpHandler, type Log } from '../shared/http/http-stack.ts';
import type { Route } from '../shared/http/routes.ts';
import {
  listConflicts,
  listEntries,
  listRegistries,
  readAppendResult,
  readConfirmations,
  readContent,
  readDocument,
  readInstance,
  readOneEntry,
  readPeerCertificate,
  readRegistry,
  readVersion,
} from './api-read.ts';
import {
  appenders,
  appendTransactions,
  createRegistry,
  introduceInstance,
  requestUpload,
} from './api-write.ts';

const WRITERS: readonly CallerRole[] = ['application'];
const READERS: readonly CallerRole[] = ['application', 'operator', 'auditor'];
const INTRODUCERS: readonly CallerRole[] = ['application', 'operator'];

const REGISTRY = '/v1/registries/{registryId}';
const VERSION = `${REGISTRY}/documents/{documentId}/versions/{version}`;

/** What applications, operators and auditors can call. */
export function apiRoutes(): readonly Route<HttpHandler<Instance>>[] {
  const appenderOf = appenders();
  const read = (path: string, handler: HttpHandler<Instance>) =>
    ({ method: 'GET', path, roles: READERS, handler }) as const;
  const write = (path: string, handler: HttpHandler<Instance>, roles = WRITERS) =>
    ({ method: 'POST', path, roles, handler }) as const;
  return [
    write('/v1/registries', createRegistry(appenderOf)),
    write(`${REGISTRY}/transactions`, appendTransactions(appenderOf)),
    write('/v1/uploads', requestUpload),
    write('/v1/certificates', introduceInstance, INTRODUCERS),
    read('/v1/instance', readInstance),
    read('/v1/registries', listRegistries),
    read(REGISTRY, readRegistry),
    read(`${REGISTRY}/entries`, listEntries),
    read(`${REGISTRY}/entries/{sequence}`, readOneEntry),
    read(`${REGISTRY}/entries/{sequence}/confirmations`, readConfirmations),
    read(`${REGISTRY}/transactions/{transactionId}`, readAppendResult),
    read(`${REGISTRY}/documents/{documentId}`, readDocument),
    read(VERSION, readVersion),
    read(`${VERSION}/content`, readContent),
    read(`${REGISTRY}/conflicts`, listConflicts),
    read('/v1/certificates/{certificateId}', readPeerCertificate),
  ];
}

/** The function behind the gateway's default route. */
export function createApi(open: OpenInstance, log: Log = logLine) {
  return httpHandler(open, apiRoutes(), log);
}
