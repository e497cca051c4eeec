import type { Instance } from '../shared/adapters/aws/instance.ts';
import type { OperationRequest } from '../shared/http/operation.ts';
import type { operations } from '../shared/http/operations.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import type { Digest } from '../shared/ledger/digest.ts';
import { type Refused, refuse } from '../shared/ledger/errors.ts';
import {
  algorithmsOf,
  joseSignature,
  objectUrn,
  type SignatureTarget,
  signingInput,
} from '../shared/ledger/signature.ts';
import { type RequestItem, requestKey } from '../shared/ledger/state.ts';
import {
  encodeTransaction,
  readTransaction,
  type SignDocument,
  type SigningKey,
} from '../shared/ledger/transaction.ts';
import type { Head } from '../shared/registry/ports.ts';
import * as requests from '../shared/registry/read-requests.ts';
import { withSuperseded } from '../shared/registry/read-superseded.ts';
import {
  type AppenderOf,
  appendAnswer,
  type Handler,
  type HeadRequest,
  withHead,
} from './api-answers.ts';

export const listSignatureRequests: Handler<'listSignatureRequests'> = (request) =>
  withHead(request, async (head) => {
    const { instance, query, page } = request;
    const { requests: signatureRequests, next } = await requests.listRequests(
      instance,
      head,
      query,
      page,
    );
    return answer(200, {
      signatureRequests: await marked(instance, head, signatureRequests),
      ...request.nextAfter(next),
    });
  });

export const readSignatureRequest: Handler<'readSignatureRequest'> = (request) =>
  withHead(request, async (head) => {
    const { requestId } = request.parameters;
    const found = await requests.readRequest(request.instance, head, requestId);
    if (found === undefined) return requestUnknown();
    const [summary] = await marked(request.instance, head, [found]);
    return answer(200, summary);
  });

function marked(
  instance: Instance,
  { registryId }: Head,
  rows: readonly requests.RequestSummary[],
) {
  return withSuperseded(instance, registryId, rows, ({ requestedBy }) => requestedBy.sequence);
}

const BYTES = 'application/octet-stream';

/** What is to be signed: described, or to whoever accepts only bytes, the very bytes. */
export const readSigningInput: Handler<'readSigningInput'> = (request) =>
  withRequest(request, async (item, target) => {
    const ended = endOf(item);
    if (ended !== undefined) return ended;
    const { algorithm = algorithmsOf(item.publicKey)[0], issuedAt, certificate } = request.query;
    if (algorithm === undefined) throw new Error('every admitted key has an algorithm');
    const seconds = Math.floor(secondsOf(issuedAt) ?? request.instance.clock.now() / 1000);
    const certificates = certificate?.map((text) => Buffer.from(text, 'base64url'));
    const built = signingInput(target, {
      algorithm,
      iat: seconds,
      ...(certificates === undefined ? {} : { certificates }),
    });
    if (built.outcome === 'refused') return problem(built.code, built.detail);
    const varying = { vary: 'accept' };
    if (accepts(request.headers['accept'], BYTES))
      return answer(200, built.bytes, {
        ...varying,
        'content-type': BYTES,
        'x-signing-input-sha256': built.digest,
        'x-protected-header': built.protected,
      });
    const { contentDigest, purpose } = item;
    const body = {
      requestId: request.parameters.requestId,
      algorithm,
      issuedAt: new Date(1000 * seconds).toISOString(),
      objectUrn: objectUrn(target),
      contentDigest,
      purpose,
      protected: built.protected,
      signingInput: Buffer.from(built.bytes).toString('base64'),
      digest: built.digest,
    };
    return answer(200, body, varying);
  });

/** Undefined: it still waits for its signature. */
function endOf({ signed, superseded }: RequestItem): HttpResponse | undefined {
  if (signed !== undefined)
    return problem(
      'REQUEST_ALREADY_SIGNED',
      `it was signed with entry ${signed.sequence}; there is nothing to sign any more`,
    );
  if (superseded === undefined) return undefined;
  return problem(
    'REQUEST_SUPERSEDED',
    `it was replaced or voided with entry ${superseded.sequence}; it takes no signature any more`,
  );
}

function secondsOf(timestamp: string | undefined): number | undefined {
  return timestamp === undefined ? undefined : Date.parse(timestamp) / 1000;
}

/** JSON stays what is answered to whoever accepts it, or says nothing. */
function accepts(header: string | undefined, mediaType: string): boolean {
  const ranges = (header ?? '').split(',').map((range) => range.split(';')[0]?.trim());
  return ranges.includes(mediaType) && !ranges.includes('application/json');
}

/** Builds the sign-document transaction and appends it: repeated, the first result again. */
export function giveSignature(appenderOf: AppenderOf): Handler<'giveSignature'> {
  return (request) =>
    withRequest(request, async ({ publicKey }, { registryId }) => {
      const { instance, body, parameters } = request;
      const jws = jwsOf(body, publicKey);
      if (jws.outcome === 'refused') return problem(jws.code, jws.detail);
      const { requestId } = parameters;
      const { transactionId } = body;
      const { signature } = jws;
      const draft = { type: 'sign-document', transactionId, requestId, signature } as const;
      const read = readTransaction(encodeTransaction(draft).transaction);
      if (read.outcome === 'refused') return problem(read.code, read.detail);
      const outcome = await appenderOf(instance).append(registryId, [{ read }]);
      return appendAnswer(instance, registryId, outcome);
    });
}

type GivenSignature = OperationRequest<never, (typeof operations)['giveSignature']>['body'];

type Jws = { readonly outcome: 'read'; readonly signature: SignDocument['signature'] } | Refused;

/** The JWS as given, or from what a signing program wrote. */
function jwsOf(body: GivenSignature, publicKey: SigningKey): Jws {
  if ('jws' in body) return { outcome: 'read', signature: body.jws };
  const algorithm = algorithmIn(body.protected);
  const admitted = algorithmsOf(publicKey).find((each) => each === algorithm);
  if (admitted === undefined)
    return refuse(
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
      `the protected header names ${JSON.stringify(algorithm)}; ` +
        `expected of the requested key: ${algorithmsOf(publicKey).join(' or ')}`,
    );
  const read = joseSignature(admitted, publicKey, Buffer.from(body.signature, 'base64'));
  if (read.outcome === 'refused') return read;
  return {
    outcome: 'read',
    signature: { protected: body.protected, signature: read.signature },
  };
}

/** The `alg` of a header that nobody has checked yet. */
function algorithmIn(untrustedHeader: string): unknown {
  try {
    return JSON.parse(Buffer.from(untrustedHeader, 'base64url').toString('utf8'))?.alg;
  } catch {
    return undefined;
  }
}

interface RequestRequest extends HeadRequest {
  readonly parameters: HeadRequest['parameters'] & { readonly requestId: string };
}

function withRequest(
  request: RequestRequest,
  respond: (item: RequestItem, target: SignatureTarget) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  return withHead(request, async ({ registryId }) => {
    const key = requestKey(request.parameters.requestId);
    const { items } = await request.instance.store.read(registryId as Digest, [key]);
    const item = items.get(key) as RequestItem | undefined;
    return item === undefined ? requestUnknown() : respond(item, { ...item, registryId });
  });
}

function requestUnknown(): HttpResponse {
  return problem(
    'SIGNATURE_REQUEST_UNKNOWN',
    'this registry has no signature request with this id, or not yet at this instance',
  );
}
