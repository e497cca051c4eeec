import { jsonAccess } from './iam/service-access.ts';
import type { FunctionIdentity } from './identity.ts';
import { JsonRefusal } from './json-refusal.ts';

/** Throws what AWS answers with where the caller's role does not allow the request. */
export function judge(caller: FunctionIdentity, target: string, input: unknown): void {
  const refusal = caller.refusal(() => jsonAccess(target, input, caller.place));
  if (refusal !== undefined) throw new JsonRefusal('AccessDeniedException', refusal);
}
