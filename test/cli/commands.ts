/** Command lines against a cluster that listens, in a folder of their own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applicationCommands } from '../../cli/application-commands.ts';
import { runCommand } from '../../cli/command.ts';
import { operatorCommands } from '../../cli/operator-commands.ts';
import type { Profile } from '../../shared/client/profile.ts';
import { closing, served } from '../client/clients.ts';

const commands = { ...applicationCommands, ...operatorCommands };

export interface Ran {
  readonly code: number;
  readonly lines: readonly string[];
}

export interface CommandLine extends Awaited<ReturnType<typeof served>> {
  /** Runs `registry …`; where no profile is named, with the one at the lead. */
  run(...words: readonly string[]): Promise<Ran>;
  /** Writes a profile to a file; its path. */
  profile(name: string, profile: Profile): string;
  /** A path in the folder. */
  path(name: string): string;
  write(name: string, bytes: string | Uint8Array): string;
  read(name: string): Buffer;
  /** Creates a registry of both instances; its id. */
  create(): Promise<string>;
}

export async function commandLine(): Promise<CommandLine> {
  const both = await served();
  const folder = mkdtempSync(join(tmpdir(), 'registry-cli-'));
  closing({ close: () => rmSync(folder, { recursive: true, force: true }) });
  const path = (name: string) => join(folder, name);
  const write = (name: string, bytes: string | Uint8Array) => {
    writeFileSync(path(name), bytes);
    return path(name);
  };
  const profile = (name: string, { endpoint, certificatePem, keyPem, caPem }: Profile) => {
    write(`${name}-certificate.pem`, certificatePem);
    write(`${name}-key.pem`, keyPem);
    write('ca.pem', caPem);
    const files = { certificate: `${name}-certificate.pem`, key: `${name}-key.pem`, ca: 'ca.pem' };
    return write(`${name}.json`, JSON.stringify({ endpoint, ...files }));
  };
  const atLead = profile('lead', both.atLead.profile());
  const offline = ['verify', 'verify-receipt', 'verify-conflict', 'export', 'verify-export'];
  const run = async (...words: readonly string[]): Promise<Ran> => {
    const lines: string[] = [];
    const named = words.includes('--profile') || offline.includes(words[0] ?? '');
    const line = named ? words : [...words, '--profile', atLead];
    return { code: await runCommand(commands, line, (text) => lines.push(text)), lines };
  };
  const create = async () => {
    const { lines } = await run('create', '--name', 'Neubau', '--mirror', both.mirror.id);
    return (lines[0] ?? '').replace('registry ', '');
  };
  const read = (name: string) => readFileSync(path(name));
  return { ...both, run, profile, path, write, read, create };
}
