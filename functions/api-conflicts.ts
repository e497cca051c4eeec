import type { Instance } from '../shared/adapters/aws/instance.ts';
import type { OperationRequest } from '../shared/http/operation.ts';
import type { operations } from '../shared/http/operations.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import { accept } from '../shared/registry/accept.ts';
import { close } from '../shared/registry/close.ts';
import { buildConflictFile } from '../shared/registry/conflict-evidence.ts';
import * as conflicts from '../shared/registry/read-conflicts.ts';
import { readConflict as readStory } from '../shared/registry/read-story.ts';
import { type Order, resolve } from '../shared/registry/resolve.ts';
import * as setAsides from '../shared/registry/set-aside.ts';
import { shownStatement } from '../shared/registry/shown-statement.ts';
import { type Handler, notLead, registryUnknown, withHead } from './api-answers.ts';

export const listConflicts: Handler<'listConflicts'> = (request) =>
  withHead(request, async (head) =>
    answer(200, await conflicts.listConflicts(request.instance, head)),
  );

export const readConflict: Handler<'readConflict'> = (request) =>
  withHead(request, async (head) => {
    const { conflictId } = request.parameters;
    const found = await readStory(request.instance, head, conflictId);
    return found === undefined ? conflictUnknown() : answer(200, found);
  });

/** What a function can answer is 6 MB, counted as a JSON text. */
const ANSWER_BYTES_MAX = 5_900_000;

/** Proof to keep, which verifies offline with the cluster CA and the registry id alone. */
export const readEvidence: Handler<'readEvidence'> = (request) =>
  withHead(request, async (head) => {
    const { conflictId } = request.parameters;
    const built = await buildConflictFile(request.instance, head, conflictId);
    switch (built.outcome) {
      case 'built': {
        const { length } = JSON.stringify(built.bytes.toString('latin1'));
        if (length <= ANSWER_BYTES_MAX) return answer(200, built.bytes);
        return problem(
          'TOO_LARGE',
          `the file would have ${built.bytes.length} bytes, more than an answer can hold; have the ` +
            'operator copy the evidence out of the bucket of this instance',
        );
      }
      case 'unknown-conflict':
        return conflictUnknown();
      case 'evidence-missing':
        return problem(
          'EVIDENCE_UNKNOWN',
          `the evidence of no report is here; ask the instance that found it: ${built.finder}`,
        );
      case 'certificate-unknown':
        return problem(
          'CERTIFICATE_UNKNOWN',
          `this instance has not got the certificate of the peer ${built.certificateId}, ` +
            'without which nobody could verify the file; ask again later, or another peer',
          { members: { retryable: true } },
        );
    }
  });

/** An operator of the lead decides; the instance signs the same. */
export const resolveConflicts: Handler<'resolveConflicts'> = async (request) => {
  const { instance, parameters } = request;
  const outcome = await resolve(instance, parameters.registryId, orderIn(request));
  switch (outcome.outcome) {
    case 'decided':
    case 'held': {
      const resolution = conflicts.shownResolution(outcome.resolution);
      return answer(outcome.outcome === 'decided' ? 201 : 200, { resolution });
    }
    case 'in-force': {
      const { digest, resolution, recordedAt } = outcome.resolution;
      const { manner, decidedBy, reason } = resolution;
      return problem(
        'RESOLUTION_IN_FORCE',
        `the resolution ${digest} (${manner}) is in force, decided by ${decidedBy} at ${recordedAt}: ` +
          `${JSON.stringify(reason)}; carry it out, or name it in "after" to put another one in its place`,
        { members: { resolution: conflicts.shownResolution(outcome.resolution) } },
      );
    }
    case 'not-lead':
      return notLead(instance, outcome.lead, 'decides');
    case 'unknown-registry':
      return registryUnknown();
    case 'busy':
      return undecided();
    case 'refused':
      return problem(outcome.code, outcome.detail);
  }
};

/** An operator of a mirror accepts what the accused lead decided. */
export const acceptResolution: Handler<'acceptResolution'> = async (request) => {
  const { instance, parameters } = request;
  const outcome = await accept(instance, parameters.registryId, orderIn(request));
  switch (outcome.outcome) {
    case 'accepted':
    case 'held': {
      const acceptance = shownStatement(outcome.kept);
      return answer(outcome.outcome === 'accepted' ? 201 : 200, { acceptance });
    }
    case 'unknown-registry':
      return registryUnknown();
    case 'refused':
      return problem(outcome.code, outcome.detail);
  }
};

/** An operator of a mirror begins a new copy of its ledger. */
export const setAside: Handler<'setAside'> = async (request) => {
  const { instance, parameters } = request;
  const outcome = await setAsides.setAside(instance, parameters.registryId, orderIn(request));
  switch (outcome.outcome) {
    case 'set-aside':
    case 'held': {
      const status = outcome.outcome === 'set-aside' ? 201 : 200;
      return answer(status, { setAside: shownStatement(outcome.kept) });
    }
    case 'unknown-registry':
      return registryUnknown();
    case 'busy':
      return undecided();
    case 'refused':
      return problem(outcome.code, outcome.detail);
  }
};

/** The instance signs its own head; nothing is recorded after it. */
export const closeRegistry: Handler<'closeRegistry'> = async ({ instance, parameters }) => {
  const outcome = await close(instance, parameters.registryId);
  switch (outcome.outcome) {
    case 'closed':
    case 'held': {
      const closing = shownStatement(outcome.kept);
      return answer(outcome.outcome === 'closed' ? 201 : 200, { closing });
    }
    case 'unknown-registry':
      return registryUnknown();
    case 'busy':
      return undecided();
  }
};

type Deciding = Pick<
  OperationRequest<Instance, (typeof operations)['resolveConflicts']>,
  'caller' | 'body'
>;

/** Who calls decides, and nobody else. */
function orderIn({ caller, body }: Deciding): Order {
  return { operator: caller.certificateId, decision: body.decision };
}

function conflictUnknown(): HttpResponse {
  return problem('CONFLICT_UNKNOWN', 'no conflict with this id is recorded here, or not yet');
}

function undecided(): HttpResponse {
  return problem('BUSY', 'the store is busy, and it is not known whether this was kept; repeat it');
}
