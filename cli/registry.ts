/** The command `registry`. */
import { applicationCommands } from './application-commands.ts';
import { certificateCommands } from './certificate-commands.ts';
import { outliveReader, runCommand } from './command.ts';
import { keyCommands } from './key-commands.ts';
import { operatorCommands } from './operator-commands.ts';

const commands = {
  ...applicationCommands,
  ...operatorCommands,
  ...keyCommands,
  ...certificateCommands,
};

outliveReader(process.stdout);

const wanted = process.argv.slice(2);
if (wanted.length === 0 || wanted[0] === 'help' || wanted[0] === '--help') {
  console.log('registry: what an application or an operator can do at an instance\n');
  for (const { usage } of Object.values(commands)) console.log(`  registry ${usage}`);
} else {
  process.exitCode = await runCommand(commands, wanted, (line) => console.log(line));
}
