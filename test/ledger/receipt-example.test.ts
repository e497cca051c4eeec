/** The receipt in the page of the protocol is a real one. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseCanonical } from '../../shared/ledger/canonical.ts';
import type { Digest } from '../../shared/ledger/digest.ts';
import { receiptBytesMax } from '../../shared/ledger/receipt.ts';
import { verifyReceipt } from '../../shared/ledger/verify-receipt.ts';

const page = readFileSync(new URL('../../shared/README.md', import.meta.url), 'utf8');
const [, section = ''] = page.split('\n## Receipts\n');

/** The first code block of that language in the section. */
function block(language: string): string {
  return new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)\\n\`\`\`$`, 'm').exec(section)?.[1] ?? '';
}

/** The names of all members, at any depth. */
function namesIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(namesIn);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.entries(value).map(([name, member]) => [name, namesIn(member)]);
}

test('the receipt in the page of the protocol verifies with the CA beside it', () => {
  const receipt = block('text');
  const registryId = JSON.parse(receipt).entry.registryId as Digest;

  const outcome = verifyReceipt(Buffer.from(receipt), { clusterCaPem: block('pem'), registryId });

  expect(outcome).toMatchObject({
    outcome: 'verified',
    sequence: 2,
    details: { name: 'Modell Architektur' },
    status: { status: 'final' },
  });
});

test('the receipt that the page shows pretty-printed is the same, and of the page’s export', () => {
  const receipt = block('text');
  const pretty = JSON.parse(block('json'));
  const { entry, transaction, details } = JSON.parse(receipt);

  expect(parseCanonical(Buffer.from(receipt), receiptBytesMax).outcome).toBe('parsed');
  expect(namesIn(pretty)).toEqual(namesIn(JSON.parse(receipt)));
  expect(pretty).toMatchObject({ entry, transaction, details });
  for (const object of [entry, transaction, details])
    expect(page.split('\n')).toContain(JSON.stringify(object));
});
