/** The decisions of the operators, told one by one. */
import type { NewResolution } from '../../../shared/client/deciding.ts';
import type { Digest } from '../../../shared/ledger/digest.ts';
import type { MemberName } from '../members.ts';
import { type Drilled, LEAD } from './drilled.ts';

/** What the lead's instance tells its operator before they decide. */
export async function showNext(drilled: Drilled, conflictId: string): Promise<void> {
  const { next } = await drilled.operator(LEAD).conflict(drilled.registryId, conflictId);
  drilled.at(LEAD, `tells its operator: ${drilled.named(next)}`);
}

/** The lead's operator decides on all that is open there, or on the conflicts that are named. */
export async function decide(drilled: Drilled, decision: NewResolution): Promise<Digest> {
  const { digest, said } = await drilled.operator(LEAD).resolve(drilled.registryId, decision);
  const named = said.entries.map((link) => `${link.sequence} (${link.digest.slice(0, 8)}…)`);
  const what = named.length === 0 ? '' : `, naming entry ${named.join(' and entry ')}`;
  drilled.at(LEAD, `its operator decides: ${said.manner}${what}; reason: "${said.reason}"`);
  return digest;
}

/** Where the lead is accused, every mirror's own operator has to accept what it decided. */
export async function acceptAtMirrors(drilled: Drilled, resolution: Digest): Promise<void> {
  const said = { reason: 'geprüft und angenommen' };
  for (const name of drilled.online) {
    if (name === LEAD) continue;
    await untilInForce(drilled, name, resolution);
    await drilled.operator(name).accept(drilled.registryId, resolution, said);
    drilled.at(name, 'its operator has looked at it, and accepts');
  }
}

/** What was decided at the lead has arrived. */
async function untilInForce(drilled: Drilled, name: MemberName, resolution: Digest): Promise<void> {
  await drilled.until(`the resolution ${resolution.slice(0, 8)} at ${name}`, async () => {
    const open = await drilled.openConflicts(name);
    return open.some((each) => each.resolution === resolution) ? true : undefined;
  });
}

/** The mirror's operator begins a new copy, as late as what the others have confirmed allows. */
export async function setAsideAt(
  drilled: Drilled,
  name: MemberName,
  conflictId: string,
): Promise<void> {
  const { said } = await drilled.operator(name).setAside(drilled.registryId, {
    conflicts: [conflictId],
    reason: 'die eigene Kopie ist falsch',
  });
  drilled.at(
    name,
    `its operator sets the copy aside from entry ${said.from} on; copy ${said.copy} begins, and ` +
      'the old one stays as evidence',
  );
  const { said: found } = await drilled.operator(name).conflict(drilled.registryId, conflictId);
  // Not every entry has a confirmation of its own.
  const last = said.from === 1 ? 'no entry' : `entry ${said.from - 1} is the last`;
  if (said.from < found.sequence)
    drilled.at(
      name,
      `not from entry ${found.sequence} on: ${last} before it that another instance has ` +
        'confirmed just as it is stored here',
    );
}
