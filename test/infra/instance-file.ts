import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exampleAuthorityPem } from './example-authority.ts';

/** The least that an instance's file has to say, and changes to it; undefined leaves a key out. */
export function instanceFields(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'client',
    clusterCa: exampleAuthorityPem,
    applications: [],
    operators: [],
    auditors: [],
    denied: [],
    admittedLeads: 'any',
    alarmEmails: ['operator@client.example'],
    ...changes,
  };
}

/** Writes one such file into a folder that is made for it, and gives the folder. */
export function instancesFolder(folder: string, changes: Record<string, unknown> = {}): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'client.json'), JSON.stringify(instanceFields(changes)));
  return folder;
}
