import type { Log } from '../shared/http/http-stack.ts';
import { answer, problem } from '../shared/http/problem.ts';
import { DENIALS_MAX } from '../shared/registry/deny-list.ts';
import type { Handler } from './api-answers.ts';

export const listDenied: Handler<'listDenied'> = async ({ instance }) =>
  answer(200, { denied: await instance.denyList.all() });

/** In force here at once, and in every other process of the instance within 20 seconds. */
export function changeDenied(log: Log): Handler<'changeDenied'> {
  return async ({ instance, caller, body }) => {
    const { certificateId, denied } = body;
    const own = [caller.certificateId, ...instance.signer.knownIds];
    if (denied && own.includes(certificateId))
      return problem(
        'DENIAL_NOT_ALLOWED',
        'this is who asks, or this instance itself: neither could take it back; another operator ' +
          'may deny you',
      );
    const outcome = await instance.denyList.change(certificateId, denied, caller.certificateId);
    switch (outcome.outcome) {
      case 'changed':
        log('warn', denied ? 'caller denied' : 'caller no longer denied', {
          caller: caller.certificateId,
          certificateId,
        });
        return answer(200, { denied: outcome.denied });
      case 'unchanged':
        return answer(200, { denied: outcome.denied });
      case 'full':
        return problem(
          'DENIAL_NOT_ALLOWED',
          `the list holds ${DENIALS_MAX} certificate ids: take off those that have expired`,
        );
      case 'busy':
        return problem('BUSY', 'others change the list at the same time; repeat it');
    }
  };
}
