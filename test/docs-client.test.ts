import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closing, keepOpen, served } from './client/clients.ts';

const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'client.md'), 'utf8');
const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);

/** Beside `shared`, but for one folder more. */
let folder: string;
let registryId = '';

beforeAll(async () => {
  folder = mkdtempSync(join(import.meta.dirname, '.docs-client-'));
  const { lead, mirror, atLead } = await served();
  const { application } = lead;
  const files = {
    'ca-certificate.pem': atLead.profile().caPem,
    'client/application-certificate.pem': application.certificatePem,
    'client/application-key.pem': application.keyPem,
    'client/profile.json': JSON.stringify({
      endpoint: atLead.origin,
      certificate: 'application-certificate.pem',
      key: 'application-key.pem',
      ca: '../ca-certificate.pem',
    }),
    'architect/certificate.pem': mirror.certificate.certificatePem,
  };
  for (const name of ['client', 'architect'])
    mkdirSync(join(folder, '.registry', name), { recursive: true });
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, '.registry', name), content);
  writeFileSync(join(folder, 'plan.ifc'), 'ISO-10303-21;\nHEADER;\n');
  writeFileSync(join(folder, 'plan-2.ifc'), 'ISO-10303-21;\nHEADER; /* 2 */\n');
  closing({ close: () => rmSync(folder, { recursive: true, force: true }) });
  keepOpen();
});

interface Ran {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

async function run(block: string, name: string): Promise<Ran> {
  const file = join(folder, `${name}.ts`);
  writeFileSync(file, block.replaceAll("from '../shared/", "from '../../shared/"));
  const child = spawn(process.execPath, [file, registryId], { cwd: folder });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ]);
  return { code, output, errors };
}

afterAll(() => {
  // A page without examples would pass every test of them.
  expect(blocks.length).toBeGreaterThan(4);
});

test('the examples of the page of the client run, one after the other', async () => {
  const outputs: string[] = [];
  for (const [index, block] of blocks.entries()) {
    const { code, output, errors } = await run(block, `block-${index + 1}`);
    expect([errors, code]).toEqual(['', 0]);
    outputs.push(output);
    registryId ||= /^registry ([0-9a-f]{64})$/m.exec(output)?.[1] ?? '';
  }

  const [round = '', lists = '', upload = '', content = '', signing = '', stopped = ''] = outputs;
  expect(round).toMatch(/^entry 2, content [0-9a-f]{64}\n\{ status: 'final' \}\nregistry /);
  expect(JSON.parse(readFileSync(join(folder, 'receipt.json'), 'utf8'))).toMatchObject({
    format: 'registry/receipt/v1',
  });
  expect(lists).toContain('ARC-0001 1 Modell Architektur\n1 create-registry\n2 upload-document\n');
  expect(upload).toContain('version 2, and again version 2\n');
  expect(upload).toMatch(/^hash \d+ of \d+\nsend \d+ of \d+\n/);
  expect(content).toMatch(/^22 bytes, SHA-256 [0-9a-f]{64}\n$/);
  expect(signing).toBe('approval signed ES256\nreceipt signed ES256\n');
  expect(stopped).toBe('0 conflicts, as the lead knows them\n');
}, 60_000);
