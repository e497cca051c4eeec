/** Every kind of conflict, really caused on a real cluster, found, and resolved by its operators. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../infra/local/cluster.ts';
import { drills, holdDrill } from '../../infra/local/drill/drills.ts';
import { type Member, type MemberName, prepareMembers } from '../../infra/local/members.ts';
import { createNarrator } from '../../infra/local/narrator.ts';
import { consecutiveFreePorts } from './local-cluster.ts';

const directory = mkdtempSync(join(tmpdir(), 'registry-drills-'));
let cluster: Cluster | undefined;
let members: readonly Member[] = [];

beforeAll(async () => {
  members = await prepareMembers(directory, await consecutiveFreePorts(4));
  cluster = await startCluster({
    directory,
    instances: members.map(({ instance }) => ({ ...instance, offline: false })),
    inMemory: true,
    sweepSeconds: 1,
  });
});

afterAll(async () => {
  await cluster?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What went wrong last at each member, by its log. */
function lastWarnings(): string {
  return members
    .map(({ name, directory: folder }) => {
      const log = readFileSync(join(folder, 'log.jsonl'), 'utf8').split('\n');
      const warned = log.filter((line) => /"level":"(warn|error)/i.test(line));
      return [name, ...warned.slice(-12)].join('\n  ');
    })
    .join('\n');
}

interface Held {
  readonly kind: string;
  /** By name; `open` where nobody is accused. */
  readonly accused: string;
  readonly raisedBy: string;
  readonly told: string;
}

async function hold(kind: string, manner: string): Promise<Held> {
  const drill = drills.find((each) => each.kind === kind);
  if (cluster === undefined || drill === undefined) throw new Error(`no drill ${kind}`);
  const lines: string[] = [];
  const narrator = createNarrator((line) => lines.push(line));
  const site = { cluster, members, narrator, directory: join(directory, 'drill') };
  const alarm = await holdDrill(site, drill, manner).catch((error: unknown) => {
    // The folder with the logs is about to go.
    throw new Error(`${String(error)}\n${lines.join('\n')}\n${lastWarnings()}`);
  });
  const accused = members.find(({ certificateId }) => certificateId === alarm.accused)?.name;
  const { raisedBy } = alarm;
  return { kind: alarm.kind, accused: accused ?? alarm.accused, raisedBy, told: lines.join('\n') };
}

interface Expected {
  readonly accused: MemberName | 'open';
  readonly foundBy: string;
  /** What the file proves, and about whom. */
  readonly proof: RegExp;
  /** What the operators do, in this order. */
  readonly decisions: readonly string[];
  /** Instances whose ledger is verified from its stored bytes in the end. */
  readonly sound: number;
}

const acceptances = ['architect', 'contractor', 'checking-engineer'].map(
  (name) => `${name.padEnd(18)} its operator has looked at it, and accepts`,
);

const expectations: readonly [kind: string, manner: string, expected: Expected][] = [
  [
    'local-tampering',
    'replay',
    {
      accused: 'contractor',
      foundBy: 'audit',
      proof: /CLAIMED by contractor about itself .*TRANSACTION_DIGEST_DIFFERS/,
      decisions: ['copy 2 begins, and the old one stays', 'its operator decides: replay;'],
      sound: 4,
    },
  ],
  [
    'local-tampering',
    'expel',
    {
      accused: 'contractor',
      foundBy: 'audit',
      proof: /CLAIMED by contractor about itself/,
      decisions: [
        'its operator decides: expel;',
        'is the new peer list, without the contractor',
        'contractor         is expelled, and hears no more: its own copy ends at entry',
        'checking-engineer  has caught up 50 entries',
      ],
      sound: 3,
    },
  ],
  [
    'fork',
    'replay',
    {
      accused: 'client',
      foundBy: 'peer-api',
      proof: /PROVEN about client: signed two different entries 5/,
      decisions: [
        'its operator decides: replay, naming entry 5 (',
        ...acceptances,
        'its operator sets the copy aside from entry 5 on',
      ],
      sound: 4,
    },
  ],
  [
    'fork',
    'close',
    {
      accused: 'client',
      foundBy: 'peer-api',
      proof: /PROVEN about client: signed two different entries 5/,
      decisions: [
        'client (lead)      its operator closes the registry',
        'checking-engineer  its operator closes the registry',
        'REGISTRY_CLOSED',
        'has confirmed entry 1 of the successor',
      ],
      sound: 4,
    },
  ],
  [
    'invalid-transaction',
    'replace',
    {
      accused: 'client',
      foundBy: 'peer-api',
      proof: /PROVEN about client: signed entry 5, which breaks the rules \(VERSION_NOT_NEXT/,
      decisions: [
        'its operator decides: replace, naming entry 5 (',
        ...acceptances,
        'ARC-0001 version 2 takes the place of entry 5',
      ],
      sound: 4,
    },
  ],
  [
    'document-mismatch',
    'replace',
    {
      accused: 'open',
      foundBy: 'fetch-documents',
      proof: /CLAIMED by contractor on .*client: "digest-differs"/,
      decisions: [
        'its operator decides: replace, naming entry 5 (',
        'FOTO-0001 version 2 takes the place of entry 5',
      ],
      sound: 4,
    },
  ],
  [
    'document-mismatch',
    'replay',
    {
      accused: 'open',
      foundBy: 'fetch-documents',
      proof: /CLAIMED by contractor on .*client: "digest-differs"/,
      decisions: [
        'every holder       puts the right bytes back from a backup',
        'its operator decides: replay;',
      ],
      sound: 4,
    },
  ],
  [
    'digest-mismatch',
    'take-back',
    {
      accused: 'open',
      foundBy: 'peer-api',
      proof: /CLAIMED by contractor on .*does not come out to the checkpoint of entry 5/,
      decisions: [
        'its operator decides: take-back;',
        ...acceptances,
        'its new copy is whole',
        'its operator decides: replay;',
      ],
      sound: 4,
    },
  ],
  [
    'lead-rollback',
    'take-back',
    {
      accused: 'client',
      foundBy: 'audit',
      proof: /CLAIMED by client about itself .*signed entry 5, but holds only 4 entries/,
      decisions: ['its operator decides: take-back;', ...acceptances],
      sound: 4,
    },
  ],
];

/** A drill may wait for one message that stays hidden, and mostly waits for none. */
const TIMEOUT = { timeout: 300_000 };

describe('a conflict on a real cluster is found, told, and resolved', () => {
  test.each(expectations)('%s by %s', TIMEOUT, async (kind, manner, expected) => {
    const { told, ...alarm } = await hold(kind, manner);

    const { accused, foundBy: raisedBy } = expected;
    expect(alarm).toEqual({ kind, accused, raisedBy });
    expect(told).toContain(`CONFLICT: ${kind.toUpperCase()} AT ENTRY`);
    expect(told).toMatch(/ knows? \d+(?: ms|\.\d s) after the cause/);
    expect(told).toContain('an append is answered 409 REGISTRY_IN_CONFLICT');
    expect(told).toMatch(expected.proof);
    const places = expected.decisions.map((decision) => told.indexOf(decision));
    expect(places, told).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(told.match(/verify: sound: /g) ?? []).toHaveLength(expected.sound);
  });
});

test('the roles of the templates allowed every call of every function so far', () => {
  expect(cluster?.rights().refused).toEqual([]);
});

test('every way out of the list is held', () => {
  const held = expectations.map(([kind, manner]) => `${kind} ${manner}`);
  const listed = drills.flatMap(({ kind, manners }) => manners.map((each) => `${kind} ${each}`));

  expect(held.toSorted()).toEqual(listed.toSorted());
});

/** What `npm run drill -- …` runs, without npm around it. */
async function run(...given: string[]): Promise<{ code: number | null; output: string }> {
  const file = join(import.meta.dirname, '../../infra/local/drill/drill.ts');
  const child = spawn(process.execPath, [file, ...given], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, error] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code: child.exitCode, output: out + error };
}

test('without arguments the kinds are listed', async () => {
  const { code, output } = await run();

  expect(code).toBe(0);
  for (const { kind, manners } of drills) {
    expect(output).toContain(`  ${kind} `);
    for (const manner of manners) expect(output).toContain(manner);
  }
});

test.each([
  [['earthquake'], '"earthquake" is no drill: choose one of local-tampering, fork'],
  [
    ['fork', '--resolve', 'expel'],
    '--resolve expel: the drill fork is resolved by replay or close',
  ],
])('%j is told in one line that says what to do', async (given, expected) => {
  const { code, output } = await run(...given);

  expect(code).toBe(1);
  expect(output.trim()).toMatch(expected);
});
