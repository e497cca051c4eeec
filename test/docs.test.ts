import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { applicationCommands } from '../cli/application-commands.ts';
import { certificateCommands } from '../cli/certificate-commands.ts';
import { type Command, runCommand } from '../cli/command.ts';
import { keyCommands } from '../cli/key-commands.ts';
import { operatorCommands } from '../cli/operator-commands.ts';
import { apiRoutes } from '../functions/api.ts';
import { peerRoutes } from '../functions/peer-api.ts';
import { environmentNames } from '../shared/config.ts';
import { problem, problemCodes } from '../shared/http/problem.ts';
import { digestOf } from '../shared/ledger/digest.ts';
import { refusalCodes } from '../shared/ledger/errors.ts';
import { limits } from '../shared/ledger/limits.ts';
import { LedgerVerifier } from '../shared/ledger/verify.ts';

const ROOT = join(import.meta.dirname, '..');
const commands = {
  ...applicationCommands,
  ...operatorCommands,
  ...certificateCommands,
  ...keyCommands,
};

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** What is made and not written, or belongs to others. */
const NOT_OURS = new Set(['node_modules', 'cdk.out', 'coverage', '.git', '.registry']);

function markdownIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownIn(path);
    return entry.name.endsWith('.md') ? [relative(ROOT, path)] : [];
  });
}

const pages = markdownIn(ROOT);

/** The names in a union type of texts, which exist only in the source. */
function namesInUnion(path: string, type: string): string[] {
  const union = new RegExp(`type ${type} =([\\s\\S]*?);\\n`).exec(read(path))?.[1] ?? '';
  return [...union.matchAll(/^\s*\| '([A-Z0-9_]+)'/gm)].map(([, name]) => name ?? '');
}

/** Without code blocks and code in lines, where brackets and braces mean something else. */
function proseOf(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

/** The anchor that a heading gets where Markdown is shown. */
function anchorsOf(text: string): string[] {
  const plain = text.replaceAll(/^```[\s\S]*?^```/gm, '');
  return [...plain.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('every route is documented with its roles, and no other one is', () => {
  const page = read('docs/api.md');
  const documented = [...page.matchAll(/^\| `((?:GET|POST) \/v1\S*)` \|/gm)].map(
    ([, route]) => route,
  );
  const routes = [...apiRoutes(), ...peerRoutes()];

  expect(documented.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort());
  for (const { method, path, roles } of apiRoutes())
    expect(page).toContain(`\n| \`${method} ${path}\` | ${roles.join(', ')} |\n`);
});

test('every problem code is documented once, with the status that it has', () => {
  const rows = [...read('docs/api.md').matchAll(/^\| `([A-Z0-9_]+)` \| (\d{3}) \|/gm)].map(
    ([, code, status]) => `${code} ${status}`,
  );

  expect(problemCodes.length).toBeGreaterThan(refusalCodes.length + 20);
  expect(rows.sort()).toEqual(
    problemCodes.map((code) => `${code} ${problem(code, '').statusCode}`).sort(),
  );
});

test('every reason to refuse a certificate is documented', () => {
  const page = read('docs/certificates.md');
  const codes = namesInUnion('shared/ledger/certificate.ts', 'CertificateRefusalCode');

  expect(codes.length).toBeGreaterThan(10);
  for (const code of codes) expect(page).toContain(`\n| \`${code}\` |`);
});

test('everything that the audit can find is documented', () => {
  const codes = namesInUnion('shared/registry/audit.ts', 'AuditCode');

  expect(codes).toHaveLength(7);
  for (const code of codes) expect(read('docs/api.md')).toContain(`\n| \`${code}\` |`);
});

test('every command and every environment variable is documented', () => {
  for (const name of Object.keys(commands))
    expect(read('README.md')).toContain(`\n| \`registry ${name}\` |`);
  for (const name of environmentNames)
    expect(read('docs/certificates.md')).toContain(`\`${name}\``);
});

test('every limit of the protocol is documented with its value', () => {
  for (const [name, value] of Object.entries(limits))
    expect(read('shared/README.md')).toContain(
      `\n| \`${name}\` | ${value.toLocaleString('en-US')} |`,
    );
});

/** The command lines in a page: to the end of the line, to a pipe, or of the code in a text. */
function commandLinesIn(page: string): string[] {
  const joined = read(page).replaceAll(/\\\n\s*/g, '');
  return [...joined.matchAll(/npm run (?:-s )?registry -- ([^`\n|]+)/g)].map(([, line = '']) =>
    line.trim(),
  );
}

function wordsOf(commandLine: string): string[] {
  return [...commandLine.matchAll(/"([^"]*)"|<[^>]*>|\S+/g)].map(
    ([word, quoted]) => quoted ?? word,
  );
}

const inert: Readonly<Record<string, Command>> = Object.fromEntries(
  Object.entries(commands).map(([name, command]) => [name, { ...command, run: async () => {} }]),
);

const shown = pages.flatMap((page) => commandLinesIn(page).map((line) => [page, line] as const));

test.each(shown)('%s shows a command that can be called: %s', async (_page, line) => {
  // `help`, and the command line's name alone in a sentence about it.
  if (['help', 'export', 'verify'].includes(line)) return;
  const said: string[] = [];

  const code = await runCommand(inert, wordsOf(line), (text) => said.push(text));

  expect(said).toEqual([]);
  expect(code).toBe(0);
});

test.each(pages)('%s has links that lead somewhere', (page) => {
  const text = read(page);
  const targets = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  const broken = targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
    if (!existsSync(file)) return true;
    if (anchor === undefined) return false;
    return statSync(file).isDirectory() || !anchorsOf(readFileSync(file, 'utf8')).includes(anchor);
  });

  expect(broken).toEqual([]);
});

test.each(pages)('%s names only paths that exist', (page) => {
  const text = read(page).replaceAll(/^```[\s\S]*?^```/gm, '');
  const folders = 'shared|functions|infra|cli|test|docs';
  const named = [...text.matchAll(new RegExp(`\`((?:${folders})(?:/[\\w./-]*)?)\``, 'g'))];
  const missing = named
    .map(([, path = '']) => path)
    .filter((path) => !existsSync(join(ROOT, path)));

  expect(missing).toEqual([]);
});

/** The code blocks of a language in the page of the protocol. */
function examples(language: string): string[] {
  const blocks = read('shared/README.md').matchAll(/^```(\w+)\n([\s\S]*?)\n```$/gm);
  return [...blocks].flatMap(([, found, text = '']) => (found === language ? [text] : []));
}

test('the exports in the page of the protocol verify, line by line', () => {
  const reports = examples('jsonl').map((text) => {
    const verifier = new LedgerVerifier({ rules: true });
    for (const line of text.split('\n')) expect(verifier.line(Buffer.from(line))).toBeUndefined();
    return verifier.end();
  });

  expect(reports).toMatchObject([
    { outcome: 'verified', entries: 3, redactions: [] },
    { outcome: 'verified', entries: 4, redactions: [{ sequence: 2 }] },
    {
      outcome: 'verified',
      entries: 4,
      resolutions: [{ manner: 'replace', sequence: 4 }],
      superseded: [{ sequence: 3, replacement: 4 }],
    },
  ]);
});

test('every object that the page of the protocol shows in one line is part of its exports', () => {
  const lines = examples('jsonl').flatMap((text) => text.split('\n'));
  const single = examples('json').filter((text) => !text.includes('\n'));

  expect(single.length).toBeGreaterThan(5);
  for (const text of single) expect(lines).toContain(text);
});

test('what the page of the protocol prints as sha256sum is the SHA-256 of the line above', () => {
  const [bytes = '', printed] = (examples('text')[0] ?? '').split('\n');

  expect(printed).toBe(`${digestOf(bytes)}  -`);
  for (const text of examples('json')) expect(JSON.parse(text)).toBeDefined();
});

test('no page claims that the ledger is qualified', () => {
  for (const page of pages) expect(read(page)).not.toMatch(/qualified/i);
});
