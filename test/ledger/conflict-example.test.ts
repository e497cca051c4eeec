/** The conflict in the page of the protocol is a real one, and so is all that is shown of it. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { type ConflictFile, parseConflictFile } from '../../shared/ledger/conflict-file.ts';
import { type Digest, digestOf } from '../../shared/ledger/digest.ts';
import { type Compact, payloadOf } from '../../shared/ledger/jws.ts';
import { closingSchema, setAsideSchema } from '../../shared/ledger/resolution.ts';
import { verifyConflictFile } from '../../shared/ledger/verify-conflict-file.ts';
import { schemas } from '../../shared/registry/messages.ts';

const page = readFileSync(new URL('../../shared/README.md', import.meta.url), 'utf8');
const fileSection = sectionOf('## Conflict files');

function sectionOf(heading: string): string {
  return page.split(`\n${heading}\n`)[1]?.split('\n## ')[0] ?? '';
}

/** The code blocks of that language. */
function blocks(text: string, language: string): string[] {
  const found = text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)\\n\`\`\`$`, 'gm'));
  return [...found].map(([, block = '']) => block);
}

const [sentences = '', bytes = ''] = blocks(fileSection, 'text');

function readFile(): ConflictFile {
  const parsed = parseConflictFile(Buffer.from(bytes));
  if (parsed.outcome === 'refused') throw new Error(`${parsed.code}: ${parsed.detail}`);
  return parsed.file;
}

/** What the page shows pretty-printed of this format and of this registry. */
function shown(format: string): Record<string, unknown> {
  const { registryId } = readFile();
  const found = blocks(page, 'json')
    .map((block) => JSON.parse(block))
    .filter((each) => each.format === format && each.registryId === registryId);
  expect(found).toHaveLength(1);
  return found[0];
}

/** As the page shortens statements and certificates. */
function shortened(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shortened);
  if (typeof value === 'string')
    return value
      .replace(/^eyJ.*$/, 'eyJ…')
      .replace(/^(-----BEGIN CERTIFICATE-----)[\s\S]*$/, '$1\n…')
      .replace(/^(\{"commit":\{"checkpoint":"eyJ).*$/, '$1…');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, shortened(member)]),
  );
}

function payloadIn(kind: ConflictFile['decisions'][number]['kind']) {
  const filed = readFile().decisions.find((decision) => decision.kind === kind);
  return payloadOf(filed?.statement as Compact);
}

test('the conflict file in the page verifies with the CA beside it, and says what the page says', () => {
  const registryId = JSON.parse(bytes).registryId as Digest;
  const [clusterCaPem = ''] = blocks(fileSection, 'pem');

  const outcome = verifyConflictFile(Buffer.from(bytes), { registryId, clusterCaPem });

  expect(outcome).toMatchObject({
    outcome: 'verified',
    kind: 'invalid-transaction',
    sequence: 3,
    cluster: 'checked',
    sentences: sentences.split('\n'),
  });
});

test('the conflict file that the page shows pretty-printed is the same', () => {
  expect(shown('registry/conflict-file/v1')).toEqual(shortened(JSON.parse(bytes)));
});

test('the report, the resolution and the acceptance in the page are those of the file', () => {
  const { conflict } = readFile();

  expect(shown('registry/conflict/v1')).toEqual(payloadOf(conflict as Compact));
  expect(shown('registry/resolution/v1')).toEqual(payloadIn('resolution'));
  expect(shown('registry/acceptance/v1')).toEqual(payloadIn('acceptance'));
});

test('the digest of the resolution in the page is that of its payload, and others name it', () => {
  const digest = digestOf(encodeCanonical(shown('registry/resolution/v1')));

  expect(page).toContain(`Its digest is \`${digest}\``);
  expect(shown('registry/acceptance/v1')['resolution']).toBe(digest);
  expect(page).toContain(`"resolves":["${digest}"]`);
});

test('the evidence in the page is what the report names', () => {
  const [digest = ''] = shown('registry/conflict/v1')['evidence'] as string[];
  const text = readFile().evidence[digest as Digest] ?? '';

  expect(digestOf(text)).toBe(digest);
  expect(shown('registry/evidence/v1')).toEqual(shortened(JSON.parse(text)));
});

test('the set-aside and the closing in the page have the form of such statements', () => {
  expect(setAsideSchema.safeParse(shown('registry/set-aside/v1')).success).toBe(true);
  expect(closingSchema.safeParse(shown('registry/closing/v1')).success).toBe(true);
});

test('the messages in the page that bring the decision have the form of such messages', () => {
  const delivery = schemas.delivery.parse(shown('registry/delivery/v1'));
  const { statements } = schemas.statements.parse(shown('registry/statements/v1'));

  expect(delivery.resolutions).toHaveLength(1);
  expect(delivery.conflicts).toHaveLength(1);
  expect(statements.map((each) => Object.keys(each))).toEqual([
    ['statement'],
    ['decision', 'statement'],
  ]);
});
