/** The commands of applications, operators and auditors at an instance, over mutual TLS. */
import type { Commands } from './command.ts';
import { conflictCommands } from './conflict-commands.ts';
import { denialCommands } from './denial-commands.ts';
import { documentCommands } from './document-commands.ts';
import { evidenceCommands } from './evidence-commands.ts';
import { registryCommands } from './registry-commands.ts';
import { signingCommands } from './signing-commands.ts';

export const applicationCommands: Commands = {
  ...registryCommands,
  ...documentCommands,
  ...signingCommands,
  ...evidenceCommands,
  ...conflictCommands,
  ...denialCommands,
};
