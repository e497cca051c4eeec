/** Whom an instance neither serves nor calls: read and changed by its operators. */
import type * as z from 'zod';
import { isCertificateId } from '../ledger/digest.ts';
import { deniedAnswer } from './answers.ts';
import type { CallOptions, Calls } from './calls.ts';
import { invalidArgument } from './problem.ts';

const PATH = '/v1/denied';

/** `inFile`: by the instance's file as well, so that only a deployment takes it off. */
export type DeniedCaller = z.output<typeof deniedAnswer>['denied'][number];

export async function readDenied(calls: Calls, options?: CallOptions): Promise<DeniedCaller[]> {
  const { denied } = await calls.get(PATH, deniedAnswer, options);
  return denied;
}

export async function changeDenied(
  calls: Calls,
  wanted: { readonly certificateId: string; readonly denied: boolean },
  options?: CallOptions,
): Promise<DeniedCaller[]> {
  const { certificateId } = wanted;
  if (!isCertificateId(certificateId))
    throw invalidArgument(`"${certificateId}" is no certificate id: expected 64 hex digits`);
  const { denied } = await calls.post(PATH, wanted, deniedAnswer, options);
  return denied;
}
