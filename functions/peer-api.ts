import type * as z from 'zod';
import type { Instance, OpenInstance } from '../shared/adapters/aws/instance.ts';
import { addLogFacts } from '../shared/adapters/aws/log-context.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import {
  type HttpHandler,
  type HttpRequest,
  httpHandler,
  type Log,
} from '../shared/http/http-stack.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import type { Route } from '../shared/http/routes.ts';
import type { headSchema } from '../shared/ledger/checkpoint.ts';
import { isDigest, type RegistryId } from '../shared/ledger/digest.ts';
import type { Refused } from '../shared/ledger/errors.ts';
import { deliveryFrom } from '../shared/registry/deliver.ts';
import { generationOf } from '../shared/registry/held-content.ts';
import { buildInvitation, receiveInvitation } from '../shared/registry/invite.ts';
import { encodeMessage, readMessage, schemas } from '../shared/registry/messages.ts';
import type { Head } from '../shared/registry/ports.ts';
import { receiveStatements } from '../shared/registry/receive-statements.ts';
import { isInSwarm, receiveDelivery } from '../shared/registry/replicate.ts';
import { callAgain } from '../shared/registry/wake.ts';
import { inConflict, registryUnknown } from './api-answers.ts';
import { certificateAnswer } from './api-instance.ts';
import { keepingOwnCertificate } from './own-certificate.ts';

type Handler = HttpHandler<Instance>;
type Request = HttpRequest<Instance>;

const REGISTRY = '/v1/peer/registries/{registryId}';

/** What other instances can call. Entry 1 and invitations judge their caller themselves. */
export function peerRoutes(): readonly Route<Handler>[] {
  const roles = ['peer'] as const;
  const get = (path: string, handler: Handler) =>
    ({ method: 'GET', path: `${REGISTRY}${path}`, roles, handler }) as const;
  const post = (path: string, handler: Handler) =>
    ({ method: 'POST', path: `${REGISTRY}${path}`, roles, handler }) as const;
  return [
    post('/deliveries', newcomersToo(takeDelivery)),
    post('/invitations', introducing(takeInvitation)),
    post('/statements', inSwarm(takeStatements)),
    get('/entries', inSwarm(giveEntries)),
    get('/evidence/{evidenceDigest}', inSwarm(giveEvidence)),
    get('/head', inSwarm(stateHead)),
    get('/contents/{contentDigest}', inSwarm(addressContent)),
    get('/configuration', inSwarm(stateConfiguration)),
    get('/certificates/{certificateId}', inSwarm(giveCertificate)),
  ];
}

/** The function behind the gateway's routes for peers. */
export function createPeerApi(open: OpenInstance, log: Log = logLine) {
  return httpHandler(keepingOwnCertificate(open), peerRoutes(), { log, note: addLogFacts });
}

/** Refuses every caller that never was a peer of this registry, before anything is read. */
function inSwarm(handler: Handler): Handler {
  return async (request) => (await barred(request)) ?? introducing(handler)(request);
}

/** As `inSwarm`, but a registry that is not here yet may be brought by its first lead. */
function newcomersToo(handler: Handler): Handler {
  return async (request) => {
    const refused = await barred(request);
    if (refused !== undefined && refused.statusCode !== 404) return refused;
    return introducing(handler)(request);
  };
}

async function barred({
  instance,
  caller,
  parameters,
}: Request): Promise<HttpResponse | undefined> {
  const registryId = parameters['registryId'] ?? '';
  if (!isDigest(registryId)) return registryUnknown();
  const within = await isInSwarm(instance.store, registryId, caller.certificateId);
  if (within === true) return undefined;
  if (within === undefined) return registryUnknown();
  return problem(
    'PEER_NOT_IN_SWARM',
    `${caller.certificateId} is no peer of this registry, as far as this instance knows`,
  );
}

/** The certificate introduces a peer: kept the first time it is seen, and when it was renewed. */
function introducing(handler: Handler): Handler {
  return async (request) => {
    const { store } = request.instance;
    const { certificateId, pem } = request.caller;
    if ((await store.certificate(certificateId)) !== pem)
      await store.putCertificate(certificateId, pem);
    return handler(request);
  };
}

/** What nobody signed accuses nobody, but somebody should look at it. */
function malformed(
  { instance, caller, parameters }: Request,
  code: 'DELIVERY_MALFORMED' | 'STATEMENT_MALFORMED',
  refused: Refused,
): HttpResponse {
  const registryId = parameters['registryId'] ?? '';
  const detail = `${refused.code}: ${refused.detail}`;
  instance.alarms.raise('StatementsRefused', {
    registryId,
    peer: caller.certificateId,
    code: refused.code,
    detail: refused.detail,
  });
  return problem(code, detail);
}

const takeDelivery: Handler = async (request) => {
  const { instance, caller, parameters, body } = request;
  const message = readMessage(schemas.delivery, body);
  if (message.outcome === 'refused') return malformed(request, 'DELIVERY_MALFORMED', message);
  if (message.value.registryId !== parameters['registryId']) return otherRegistry();
  const outcome = await receiveDelivery(instance, caller.certificateId, message.value);
  switch (outcome.outcome) {
    case 'held': {
      const { sequence, digest, confirmation } = outcome;
      const format = 'registry/delivery-answer/v1';
      const confirmed = confirmation === undefined ? {} : { confirmation };
      const body = { format, sequence, digest, ...confirmed };
      return { ...answer(200, body), facts: { sequence } };
    }
    case 'gap':
      return problem('DELIVERY_GAP', `the next entry here is ${outcome.next}`, {
        members: { next: outcome.next },
      });
    case 'malformed':
      return problem('DELIVERY_MALFORMED', `${outcome.refused.code}: ${outcome.refused.detail}`);
    case 'uninvited':
      return problem(
        'REGISTRY_UNINVITED',
        'an invitation with the peer lists of the registry has to come first',
      );
    case 'not-admitted':
      return notAdmitted(outcome.lead);
    case 'in-conflict':
      return inConflict(outcome.conflicts);
    case 'closed':
      return problem('REGISTRY_CLOSED', 'this instance has closed the registry; it takes nothing');
    case 'busy':
      return problem('BUSY', 'the store is busy; deliver again');
  }
};

const takeInvitation: Handler = async (request) => {
  const { instance, parameters, body } = request;
  const message = readMessage(schemas.invitation, body);
  if (message.outcome === 'refused') return malformed(request, 'DELIVERY_MALFORMED', message);
  if (message.value.registryId !== parameters['registryId']) return otherRegistry();
  const outcome = await receiveInvitation(instance, message.value);
  switch (outcome.outcome) {
    case 'accepted':
      return answer(200, { lead: outcome.lead });
    case 'not-admitted':
      return notAdmitted(outcome.lead);
    case 'not-in-swarm':
      return problem('PEER_NOT_IN_SWARM', 'the invitation does not list this instance');
    case 'refused':
      return malformed(request, 'DELIVERY_MALFORMED', outcome);
  }
};

const takeStatements: Handler = async (request) => {
  const { instance, caller, parameters, body } = request;
  const message = readMessage(schemas.statements, body);
  if (message.outcome === 'refused') return malformed(request, 'STATEMENT_MALFORMED', message);
  if (message.value.registryId !== parameters['registryId']) return otherRegistry();
  const outcome = await receiveStatements(instance, caller.certificateId, message.value);
  // Who says something new is there again, and may take now what it did not before.
  if (outcome.outcome === 'taken' && outcome.fresh)
    await callAgain(instance, message.value.registryId, caller.certificateId);
  switch (outcome.outcome) {
    case 'taken':
      return answer(200, { taken: outcome.count });
    case 'ahead':
      return problem('STATEMENT_AHEAD', `the head here is entry ${outcome.head}; come again`, {
        members: { taken: outcome.count },
      });
    case 'refused':
      return problem(outcome.refused.code, outcome.refused.detail, {
        members: { taken: outcome.count },
      });
    case 'in-conflict':
      return inConflict(outcome.conflicts);
    case 'unknown-registry':
      return registryUnknown();
  }
};

/** Entries from one on, to whoever is or was a peer: each is vouched for by its own lead. */
const giveEntries: Handler = (request) =>
  withHead(request, async (head) => {
    const from = Number(request.query['from'] ?? '');
    if (!Number.isSafeInteger(from) || from < 1)
      return problem('PARAMETER_INVALID', 'from: expected the sequence of the first entry');
    const delivery = await deliveryFrom(request.instance.store, head, from);
    if (delivery === undefined)
      return problem('ENTRY_UNKNOWN', `no whole commit is held here from entry ${from} on`);
    return answer(200, encodeMessage(delivery));
  });

const giveEvidence: Handler = async ({ instance, parameters }) => {
  const digest = parameters['evidenceDigest'] ?? '';
  const held = isDigest(digest) ? await instance.blobs.evidence(digest) : undefined;
  if (held !== undefined) return answer(200, held);
  return problem('EVIDENCE_UNKNOWN', 'this instance does not hold evidence with this SHA-256');
};

const stateHead: Handler = (request) =>
  withHead(request, async (head) => {
    const nonce = request.query['nonce'] ?? '';
    if (!/^[0-9a-f]{32}$/.test(nonce))
      return problem('PARAMETER_INVALID', 'nonce: expected 16 random bytes as 32 hex digits');
    const { signer } = request.instance;
    const { registryId, sequence, digest, copy } = head;
    const statement: z.output<typeof headSchema> = {
      format: 'registry/head/v1',
      registryId,
      signer: signer.certificateId,
      sequence,
      digest,
      copy,
      nonce,
    };
    return answer(200, { head: signer.sign(statement) });
  });

const addressContent: Handler = (request) =>
  withHead(request, async (head) => {
    const { blobs } = request.instance;
    const contentDigest = request.parameters['contentDigest'] ?? '';
    const absent = () =>
      problem('CONTENT_NOT_HELD', 'this instance does not hold bytes with this SHA-256');
    if (!isDigest(contentDigest)) return absent();
    const generation = generationOf(head, contentDigest);
    const held = await blobs.sizeOf(contentDigest, generation);
    if (held === undefined) return absent();
    const { url } = await blobs.downloadUrl(contentDigest, generation);
    return { ...answer(200, { url, size: held }), handedOutBytes: held };
  });

const giveCertificate: Handler = ({ instance, parameters }) =>
  certificateAnswer(instance, parameters['certificateId'] ?? '');

const stateConfiguration: Handler = (request) =>
  withHead(request, async (head) =>
    answer(200, await buildInvitation(request.instance.store, head)),
  );

async function withHead(
  { instance, parameters }: Request,
  respond: (head: Head) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  const head = await instance.store.head((parameters['registryId'] ?? '') as RegistryId);
  return head === undefined ? registryUnknown() : respond(head);
}

function otherRegistry(): HttpResponse {
  return problem('STATEMENT_REGISTRY_DIFFERS', 'the body is about another registry than the path');
}

function notAdmitted(lead: string): HttpResponse {
  return problem('LEAD_NOT_ADMITTED', `this instance is not configured to mirror for ${lead}`);
}
