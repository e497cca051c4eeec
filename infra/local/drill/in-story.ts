/** Steps 8 and 9 of the story: the drill of somebody who edits a table, held on its registry. */
import { Drilled, type Site } from './drilled.ts';
import { auditFinds, replay, tamperWith } from './local-tampering.ts';
import { showAppend, showBlocked, showProof } from './shown.ts';

/** The architect's first model. */
const EDITED = 2;
const LETTER = 'BRIEF-9999';

/** Gives the sequence of the last entry, which everybody has confirmed. */
export async function tellConflict(site: Site, registryId: string): Promise<number> {
  const { narrator } = site;
  const drilled = await Drilled.of(site, registryId);
  try {
    narrator.step(8, "Somebody edits one byte in the contractor's table, past the software.");
    const since = await tamperWith(drilled, EDITED);
    narrator.at('contractor', 'its scheduled audit runs');
    const alarm = await auditFinds(drilled, since);
    await showBlocked(drilled, LETTER);
    await showProof(drilled, alarm);
    narrator.step(9, 'The operators decide; the contractor begins a new copy; all confirm again.');
    await replay(drilled, alarm);
    const { sequence } = await showAppend(drilled, LETTER);
    return sequence;
  } finally {
    drilled.close();
  }
}
