import type { Instance } from '../shared/adapters/aws/instance.ts';
import type { EntryId } from '../shared/http/path-parameters.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import { limits } from '../shared/ledger/limits.ts';
import { type TransactionItem, transactionKey } from '../shared/ledger/state.ts';
import { issueReceipt } from '../shared/registry/issue-receipt.ts';
import type { Head, LedgerStore, StoredEntry } from '../shared/registry/ports.ts';
import { entryConfirmations } from '../shared/registry/read.ts';
import * as checkpoints from '../shared/registry/read-checkpoints.ts';
import * as table from '../shared/registry/read-confirmations.ts';
import type { Page } from '../shared/registry/read-page.ts';
import { withSuperseded } from '../shared/registry/read-superseded.ts';
import * as redaction from '../shared/registry/redact.ts';
import {
  entryBody,
  type Handler,
  type HeadRequest,
  redactionBody,
  withHead,
} from './api-answers.ts';

export const listEntries: Handler<'listEntries'> = (request) =>
  withHead(request, async (head) => {
    const { after, count, end } = rangeOf(request, head);
    const range = { from: after + 1, count };
    const { store } = request.instance;
    const stored = count === 0 ? [] : await store.entries(head.registryId, head.copy, range);
    const entries = withinBytes(stored);
    const last = entries.at(-1)?.sequence ?? end;
    const next = last < end ? last : undefined;
    const rows = await marked(request.instance, head, entries.map(entryBody));
    return answer(200, { entries: rows, ...request.nextAfter(next) });
  });

interface RangeRequest {
  readonly page: Page<number>;
  readonly query: { readonly from?: number | undefined; readonly to?: number | undefined };
}

/** How many entries of the page there are, after which one, and the last of the whole list. */
function rangeOf({ page, query }: RangeRequest, { sequence }: Head) {
  const after = page.after ?? (query.from ?? 1) - 1;
  const end = Math.min(query.to ?? sequence, sequence);
  return { after, count: Math.min(page.count, Math.max(0, end - after)), end };
}

/** The first of the entries that one answer can hold: always at least one. */
function withinBytes(stored: readonly StoredEntry[]): readonly StoredEntry[] {
  let bytes = 0;
  const end = stored.findIndex(({ entry, transaction, details, redaction, checkpoint }) => {
    bytes += entry.length + transaction.length + (details?.length ?? 0);
    bytes += checkpoint?.length ?? 0;
    // Both signatures hold the reason, and it is shown once more.
    if (redaction !== undefined)
      bytes += Buffer.byteLength(JSON.stringify(redactionBody(redaction)));
    return bytes > limits.deliveryBytesMax;
  });
  return end === -1 ? stored : stored.slice(0, Math.max(1, end));
}

export const readEntry: Handler<'readEntry'> = (request) =>
  withEntry(request, async (head, stored) => {
    const known = await entryConfirmations(request.instance, head, stored);
    const [shown] = await marked(request.instance, head, [entryBody(stored)]);
    return answer(200, { ...shown, ...known });
  });

/** Entries that people replaced or voided say so. */
function marked(
  instance: Instance,
  { registryId }: Head,
  rows: readonly ReturnType<typeof entryBody>[],
) {
  return withSuperseded(instance, registryId, rows, ({ sequence }) => sequence);
}

export const readConfirmations: Handler<'readConfirmations'> = (request) =>
  withEntry(request, async (head, stored) => {
    const { sequence, digest } = stored;
    const known = await entryConfirmations(request.instance, head, stored);
    return answer(200, { sequence, digest, ...known });
  });

/** Proof to keep, which verifies offline with the cluster CA and the registry id alone. */
export const readReceipt: Handler<'readReceipt'> = (request) =>
  withEntry(request, async (head, stored) => {
    const issued = await issueReceipt(request.instance, head, stored);
    switch (issued.outcome) {
      case 'issued':
        return answer(200, issued.bytes);
      case 'certificate-unknown':
        return problem(
          'CERTIFICATE_UNKNOWN',
          `this instance has not got the certificate of the peer ${issued.certificateId}, ` +
            'without which nobody could verify the receipt; ask again later, or another peer',
          { members: { retryable: true } },
        );
    }
  });

/** An operator's decision, co-signed by this instance, takes the place of the details. */
export const redactDetails: Handler<'redactDetails'> = (request) =>
  withEntry(request, async (head, stored) => {
    const { instance, caller, body } = request;
    const order = { operator: caller.certificateId, decision: body.decision };
    const outcome = await redaction.redactDetails(instance, head, stored, order);
    if (outcome.outcome === 'refused') return problem(outcome.code, outcome.detail);
    const { sequence, digest } = stored;
    const status = outcome.outcome === 'redacted' ? 201 : 200;
    return answer(status, { sequence, digest, redaction: redactionBody(outcome.redaction) });
  });

export const listConfirmations: Handler<'listConfirmations'> = (request) =>
  withHead(request, async (head) => {
    const { after, count, end } = rangeOf(request, head);
    if (count === 0) return answer(200, { peers: [], entries: [] });
    const { peers, entries } = await table.listConfirmations(request.instance, head, {
      after,
      count,
    });
    const next = after + count < end ? after + count : undefined;
    return answer(200, { peers, entries, ...request.nextAfter(next) });
  });

export const listCheckpoints: Handler<'listCheckpoints'> = (request) =>
  withHead(request, async (head) => {
    const { page, query } = request;
    const after = page.after ?? (query.from ?? 1) - 1;
    const found = await checkpoints.listCheckpoints(request.instance, head, { ...page, after });
    return answer(200, { checkpoints: found.checkpoints, ...request.nextAfter(found.next) });
  });

interface EntryRequest extends HeadRequest {
  readonly parameters: HeadRequest['parameters'] & { readonly entryId: EntryId };
}

function withEntry(
  request: EntryRequest,
  respond: (head: Head, stored: StoredEntry) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  return withHead(request, async (head) => {
    const { entryId } = request.parameters;
    const { store } = request.instance;
    const sequence = await sequenceOf(store, head, entryId);
    const held = sequence !== undefined && sequence <= head.sequence;
    const range = { from: sequence ?? 0, count: 1 };
    const [stored] = held ? await store.entries(head.registryId, head.copy, range) : [];
    if (stored !== undefined) return respond(head, stored);
    const detail =
      typeof entryId === 'string'
        ? 'no entry has this transaction id here'
        : `this instance holds the entries 1 to ${head.sequence}`;
    return problem('ENTRY_UNKNOWN', detail);
  });
}

async function sequenceOf(
  store: LedgerStore,
  { registryId }: Head,
  entryId: EntryId,
): Promise<number | undefined> {
  if (typeof entryId === 'number') return entryId;
  const key = transactionKey(entryId);
  const { items } = await store.read(registryId, [key]);
  return (items.get(key) as TransactionItem | undefined)?.sequence;
}
