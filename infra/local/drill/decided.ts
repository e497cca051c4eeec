/** The decisions of the operators, told one by one. */
import type { Link } from '../../../shared/ledger/backlinks.ts';
import type { Digest } from '../../../shared/ledger/digest.ts';
import type { MemberName } from '../members.ts';
import { type Drilled, LEAD } from './drilled.ts';
import type { Decision } from './operator.ts';

/** The lead's operator decides on all that is open there, or on the conflicts that are named. */
export async function decide(
  drilled: Drilled,
  decision: Omit<Decision, 'conflicts'> & { readonly conflicts?: readonly string[] },
): Promise<Digest> {
  const { registryId } = drilled;
  const operator = drilled.operator(LEAD);
  const open = await operator.openConflicts(registryId);
  const conflicts = decision.conflicts ?? open.map(({ conflictId }) => conflictId);
  const resolution = await operator.resolve(registryId, { ...decision, conflicts });
  const { manner, reason, entries = [] } = decision;
  const named = entries.map(({ sequence, digest }) => `${sequence} (${digest.slice(0, 8)}…)`);
  const what = named.length === 0 ? manner : `${manner}, naming entry ${named.join(' and ')}`;
  drilled.at(LEAD, `its operator decides: ${what}; reason: "${reason}"`);
  return resolution;
}

/** Where the lead is accused, every mirror's own operator has to accept what it decided. */
export async function acceptAtMirrors(drilled: Drilled, resolution: Digest): Promise<void> {
  for (const name of drilled.online) {
    if (name === LEAD) continue;
    await untilInForce(drilled, name, resolution);
    await drilled.operator(name).accept(drilled.registryId, resolution, 'geprüft und angenommen');
    drilled.at(name, 'its operator has looked at it, and accepts');
  }
}

/** What was decided at the lead has arrived. */
async function untilInForce(drilled: Drilled, name: MemberName, resolution: Digest): Promise<void> {
  await drilled.until(`the resolution ${resolution.slice(0, 8)} at ${name}`, async () => {
    const operator = drilled.operator(name);
    const open = await operator.openConflicts(drilled.registryId);
    return open.some((each) => each.resolution === resolution) ? true : undefined;
  });
}

/** The mirror's operator begins a new copy, as early as the instance says that it has to. */
export async function setAsideAt(
  drilled: Drilled,
  name: MemberName,
  conflictId: string,
): Promise<void> {
  const operator = drilled.operator(name);
  const { setAside } = await operator.story(drilled.registryId, conflictId);
  const { from, copy } = setAside ?? {};
  if (from === undefined || copy === undefined)
    throw new Error(`${name} has nothing to set aside for the conflict ${conflictId}`);
  const said = { conflicts: [conflictId], from, copy };
  await operator.setAside(drilled.registryId, said, 'die eigene Kopie ist falsch');
  drilled.at(
    name,
    `its operator sets the copy aside from entry ${from} on; copy ${copy} begins, the old one ` +
      'stays as evidence',
  );
}

/** What the lead's operator has to be told before deciding: one sentence of the instance. */
export async function showNext(drilled: Drilled, conflictId: string): Promise<void> {
  const { next } = await drilled.operator(LEAD).story(drilled.registryId, conflictId);
  drilled.at(LEAD, `tells its operator: ${drilled.named(next)}`);
}

/** The entry as decisions name it. */
export async function linkAt(drilled: Drilled, sequence: number): Promise<Link> {
  const { unverified } = drilled.application(LEAD);
  const stored = await unverified.entry(drilled.registryId, sequence);
  return { sequence: stored.sequence, digest: stored.digest };
}
