import type { Instance, OpenInstance } from '../shared/adapters/aws/instance.ts';
import { addLogFacts } from '../shared/adapters/aws/log-context.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import { type HttpHandler, httpHandler, type Log } from '../shared/http/http-stack.ts';
import type { OperationHandlers } from '../shared/http/operation.ts';
import { operationRoutes } from '../shared/http/operation-route.ts';
import { operations } from '../shared/http/operations.ts';
import type { Route } from '../shared/http/routes.ts';
import { Appender } from '../shared/registry/append.ts';
import * as conflicts from './api-conflicts.ts';
import * as denials from './api-denials.ts';
import * as documents from './api-documents.ts';
import * as entries from './api-entries.ts';
import * as instance from './api-instance.ts';
import * as registries from './api-registries.ts';
import * as signatures from './api-signatures.ts';
import { keepingOwnCertificate } from './own-certificate.ts';

/** One appender a process and key, so that concurrent requests share commits. */
function appenders(): (instance: Instance) => Appender {
  let current: { readonly signer: Instance['signer']; readonly appender: Appender } | undefined;
  return (given) => {
    if (current?.signer !== given.signer)
      current = { signer: given.signer, appender: new Appender(given) };
    return current.appender;
  };
}

/** Every operation has its handler here, by its operationId. */
function handlers(log: Log): OperationHandlers<Instance, typeof operations> {
  const appenderOf = appenders();
  return {
    readDescription: instance.readDescription,
    readInstance: instance.readInstance,
    requestUpload: instance.requestUpload,
    findContent: instance.findContent,
    introduceInstance: instance.introduceInstance,
    readCertificate: instance.readPeerCertificate,
    listDenied: denials.listDenied,
    changeDenied: denials.changeDenied(log),
    createRegistry: registries.createRegistry(appenderOf),
    listRegistries: registries.listRegistries,
    readRegistry: registries.readRegistry,
    appendTransactions: registries.appendTransactions(appenderOf),
    readTransaction: registries.readTransaction,
    listEntries: entries.listEntries,
    readEntry: entries.readEntry,
    readConfirmations: entries.readConfirmations,
    readReceipt: entries.readReceipt,
    redactDetails: entries.redactDetails,
    listConfirmations: entries.listConfirmations,
    listCheckpoints: entries.listCheckpoints,
    listDocuments: documents.listDocuments,
    readDocument: documents.readDocument,
    listVersions: documents.listVersions,
    readVersion: documents.readVersion,
    readContent: documents.readContent,
    listSignatureRequests: signatures.listSignatureRequests,
    readSignatureRequest: signatures.readSignatureRequest,
    readSigningInput: signatures.readSigningInput,
    giveSignature: signatures.giveSignature(appenderOf),
    listConflicts: conflicts.listConflicts,
    readConflict: conflicts.readConflict,
    readEvidence: conflicts.readEvidence,
    resolveConflicts: conflicts.resolveConflicts,
    acceptResolution: conflicts.acceptResolution,
    setAside: conflicts.setAside,
    closeRegistry: conflicts.closeRegistry,
  };
}

/** What applications, operators and auditors can call. */
export function apiRoutes(log: Log = logLine): readonly Route<HttpHandler<Instance>>[] {
  return operationRoutes(operations, handlers(log));
}

/** The function behind the gateway's default route. */
export function createApi(open: OpenInstance, log: Log = logLine) {
  return httpHandler(keepingOwnCertificate(open), apiRoutes(log), { log, note: addLogFacts });
}
