/** The commands `registry deny …`: whom an instance neither serves nor calls. */
import type { DeniedCaller } from '../shared/client/denying.ts';
import type { Commands, Given, Output } from './command.ts';
import { withClient } from './connected.ts';

const CHANGE = {
  required: ['profile', 'certificate-id'],
  optional: [],
  positional: 'certificate-id',
};

export const denialCommands: Commands = {
  'deny add': {
    ...CHANGE,
    usage: 'deny add <certificate-id> --profile <file>',
    run: (given, output) => change(given, output, true),
  },
  'deny remove': {
    ...CHANGE,
    usage: 'deny remove <certificate-id> --profile <file>',
    run: (given, output) => change(given, output, false),
  },
  'deny list': {
    usage: 'deny list --profile <file>',
    required: ['profile'],
    optional: [],
    run: list,
  },
};

async function change(given: Given, output: Output, denied: boolean): Promise<void> {
  await withClient(given, async (client) => {
    const id = given.value('certificate-id');
    const all = await client.changeDenied(id, denied);
    const left = all.find(({ certificateId }) => certificateId === id);
    if (denied) output(`${id}: denied; every function keeps to it within 60 seconds`);
    else if (left === undefined) output(`${id}: no longer denied, within 60 seconds`);
    else output(`${id}: off the list, and still denied by the instance's file: deploy it without`);
  });
}

async function list(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const denied = await client.denied();
    if (denied.length === 0) output('nobody is denied');
    for (const each of denied) output(rowOf(each));
  });
}

function rowOf({ certificateId, inFile, deniedBy, deniedAt }: DeniedCaller): string {
  const file = inFile ? "  by the instance's file" : '';
  const operator = deniedAt === undefined ? '' : `  since ${deniedAt} by operator ${deniedBy}`;
  return `${certificateId}${file}${operator}`;
}
