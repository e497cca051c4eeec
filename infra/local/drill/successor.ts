/** The end of a registry: every operator closes it, and another one goes on where it ended. */
import { prepare } from '../../../shared/client/appending.ts';
import { memberNames } from '../members.ts';
import { type Drilled, LEAD } from './drilled.ts';

const SUCCESSOR = 'architect';

/** Closes the registry at everybody; the architect leads its successor. Gives the new id. */
export async function succeed(drilled: Drilled): Promise<string> {
  const { registryId } = drilled;
  for (const name of drilled.online) {
    const { said } = await drilled.operator(name).closeRegistry(registryId);
    const last = `${said.sequence} (${said.digest.slice(0, 8)}…)`;
    drilled.at(name, `its operator closes the registry, with entry ${last} as the last one`);
  }
  await expectClosed(drilled);
  drilled.step('A successor goes on from the entry with which most of them have closed.');
  const { head } = await drilled.application(SUCCESSOR).unverified.registry(registryId);
  const { sequence, digest } = head;
  const others = memberNames.filter((name) => name !== SUCCESSOR);
  const peers = [SUCCESSOR, ...others].map((name) => drilled.id(name as typeof SUCCESSOR));
  const application = drilled.application(SUCCESSOR);
  for (const name of others)
    await application.introduceInstance(drilled.member(name).certificatePem);
  const members = { peers, predecessor: { registryId, sequence, digest } };
  const details = { name: 'Neubau Grundschule Musterstadt, Fortsetzung' };
  const { body } = prepare([{ type: 'create-registry', members, details }]);
  const created = await application.unverified.call('POST', '/v1/registries', body);
  const successor = String(Object(created).registryId);
  drilled.at(
    SUCCESSOR,
    `leads the successor ${successor}, whose predecessor is that entry ${sequence}`,
  );
  for (const name of drilled.online)
    await drilled.application(name).waitUntilConfirmed(successor, 1);
  drilled.site.narrator.at('every instance', 'has confirmed entry 1 of the successor');
  return successor;
}

async function expectClosed(drilled: Drilled): Promise<void> {
  const refused = await drilled
    .record('BRIEF-0001', 'Musterstadt, Schreiben 1')
    .catch((error: unknown) => error);
  if (!(refused instanceof Error) || Object(refused).code !== 'REGISTRY_CLOSED')
    throw new Error(`a closed registry did not refuse an append: ${refused}`);
  drilled.at(LEAD, `an append is answered ${Object(refused).status} REGISTRY_CLOSED`);
}
