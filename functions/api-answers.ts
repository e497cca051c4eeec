import type { Instance } from '../shared/adapters/aws/instance.ts';
import type { OperationHandler } from '../shared/http/operation.ts';
import type { operations } from '../shared/http/operations.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import { readCertificate } from '../shared/ledger/certificate.ts';
import type { CertificateId, Digest, RegistryId } from '../shared/ledger/digest.ts';
import { payloadOf } from '../shared/ledger/jws.ts';
import type { SignedRedaction } from '../shared/ledger/redaction.ts';
import type { Redaction } from '../shared/ledger/resolution.ts';
import type { Appender, AppendOutcome } from '../shared/registry/append.ts';
import type { AppendResult } from '../shared/registry/append-result.ts';
import { allReports } from '../shared/registry/kept-statements.ts';
import type { Facts, Head, StoredEntry } from '../shared/registry/ports.ts';
import { reportTableChanged } from '../shared/registry/report-conflict.ts';

/** Outcomes of the registry's verbs as answers over HTTP. */

/** The handler of one operation, by its operationId. */
export type Handler<Id extends keyof typeof operations> = OperationHandler<
  Instance,
  (typeof operations)[Id]
>;

/** The appender of the instance as it is now. */
export type AppenderOf = (instance: Instance) => Appender;

/** What every request about one registry has. */
export interface HeadRequest {
  readonly instance: Instance;
  readonly parameters: { readonly registryId: RegistryId };
}

/** Answers from the registry's head, or that there is no such registry here. */
export async function withHead(
  { instance, parameters }: HeadRequest,
  respond: (head: Head) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  const head = await instance.store.head(parameters.registryId);
  return head === undefined ? registryUnknown() : respond(head);
}

/** An entry with all that belongs to it; canonical encoding of each member gives its bytes. */
export function entryBody(stored: StoredEntry) {
  return {
    sequence: stored.sequence,
    digest: stored.digest,
    entry: jsonOf(stored.entry),
    transaction: jsonOf(stored.transaction),
    ...(stored.details === undefined ? {} : { details: jsonOf(stored.details) }),
    ...(stored.redaction === undefined ? {} : { redaction: redactionBody(stored.redaction) }),
    ...(stored.checkpoint === undefined ? {} : { checkpoint: stored.checkpoint }),
  };
}

/** Both signatures, and what they say: they were verified before they were stored. */
export function redactionBody({ statement, decision }: SignedRedaction) {
  const { decidedBy, reason, signer } = payloadOf(statement) as Redaction;
  return { decidedBy, decision, reason, signer, statement };
}

/** Stored bytes were parsed before they were stored. */
function jsonOf(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}

export function appendBody({ registryId, entries, path, checkpoint }: AppendResult) {
  return {
    registryId,
    status: 'recorded',
    entries: entries.map(({ sequence, digest, transactionId, entry }) => ({
      sequence,
      digest,
      transactionId,
      entry: jsonOf(entry),
    })),
    path: path.map(({ sequence, digest, entry }) => ({ sequence, digest, entry: jsonOf(entry) })),
    checkpoint,
  };
}

/** By what an append is found again; of several entries by the first. */
function factsOf({ registryId, entries: [first] }: AppendResult): Facts {
  if (first === undefined) return { registryId };
  return { registryId, sequence: first.sequence, transactionId: first.transactionId };
}

/** 201 for what is new, 200 for a repetition, and every refusal with its code. */
export async function appendAnswer(
  instance: Instance,
  registryId: RegistryId,
  outcome: AppendOutcome,
): Promise<HttpResponse> {
  switch (outcome.outcome) {
    case 'appended':
      instance.alarms.count({ Appends: outcome.result.entries.length }, { registryId });
      return { ...answer(201, appendBody(outcome.result)), facts: factsOf(outcome.result) };
    case 'repeated':
      return { ...answer(200, appendBody(outcome.result)), facts: factsOf(outcome.result) };
    case 'refused':
      return problem(outcome.code, outcome.detail);
    case 'unknown-registry':
      return registryUnknown();
    case 'not-lead':
      return notLead(instance, outcome.lead, 'appends');
    case 'in-conflict':
      return inConflict(outcome.conflicts, await conflictsNamed(instance, registryId, outcome));
    case 'not-reconciled':
      // From here on its peers know as well, and its operator can take back what they hold.
      await reportTableChanged(instance, outcome.head);
      return problem(
        'LEAD_NOT_RECONCILED',
        'the table of this instance was restored and may lack entries that its peers hold; ' +
          'an operator has to reconcile it first',
      );
    case 'busy':
      return problem(
        'BUSY',
        'it is not known whether this was recorded; repeat it with the same transaction ids',
        { headers: { 'retry-after': String(outcome.retryAfterSeconds) } },
      );
  }
}

export function registryUnknown(): HttpResponse {
  return problem('REGISTRY_UNKNOWN', 'this instance holds no registry with this id');
}

/** A conflict by what an application is told of it. */
interface NamedConflict {
  readonly registryId: RegistryId;
  readonly conflictId: Digest;
  readonly kind: string;
}

async function conflictsNamed(
  { store }: Instance,
  registryId: RegistryId,
  { conflicts }: { readonly conflicts: readonly Digest[] },
): Promise<NamedConflict[]> {
  // One that did not stop this instance is known by its reports alone.
  const kinds = new Map(
    (await allReports(store, registryId)).map(({ conflictId, said }) => [conflictId, said.kind]),
  );
  return conflicts.flatMap((conflictId) => {
    const kind = kinds.get(conflictId);
    return kind === undefined ? [] : [{ registryId, conflictId, kind }];
  });
}

/** `named`: to tell an application what it is about, and where it stands. */
export function inConflict(
  conflicts: readonly Digest[],
  named: readonly NamedConflict[] = [],
): HttpResponse {
  const kinds = [...new Set(named.map(({ kind }) => kind))];
  const [first] = named;
  const list = `/v1/registries/${first?.registryId ?? '{registryId}'}/conflicts`;
  const address = first === undefined ? undefined : `${list}/${first.conflictId}`;
  const what = kinds.length === 0 ? 'a conflict' : `a conflict (${kinds.join(', ')})`;
  return problem(
    'REGISTRY_IN_CONFLICT',
    `${what} has stopped the registry, so nothing is appended until its operators have resolved ` +
      'it; reading, receipts, exports and uploads of bytes go on. Wait for the operator, then send ' +
      `the same request again; GET ${address ?? list} says what disagrees and who has to act`,
    { members: { conflicts, ...(address === undefined ? {} : { kinds, address }) } },
  );
}

/** 421: the lead, and where it lives if its certificate is known. */
export async function notLead(
  instance: Instance,
  lead: CertificateId,
  does: 'appends' | 'decides',
): Promise<HttpResponse> {
  const pem = await instance.store.certificate(lead);
  const read = pem === undefined ? undefined : readCertificate(pem);
  const leadEndpoint = read?.outcome === 'read' ? read.certificate.endpoint : undefined;
  const where = leadEndpoint === undefined ? lead : `${lead} at ${leadEndpoint}`;
  return problem('NOT_THE_LEAD', `only the lead ${does}: send this to ${where}`, {
    members: { lead, ...(leadEndpoint === undefined ? {} : { leadEndpoint }) },
  });
}
