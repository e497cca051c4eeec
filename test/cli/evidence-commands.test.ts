import { mkdirSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { writeWhole } from '../../cli/command.ts';
import type { Closing } from '../../shared/ledger/resolution.ts';
import { encodeSignedLine } from '../../shared/ledger/signed-line.ts';
import { exportLines } from '../../shared/registry/export.ts';
import { fileOf, TestLedger, testPeer, uploadDocument } from '../builders.ts';
import { testAuthority } from '../certificate-authority.ts';
import { linkAt, resolutionOf } from '../resolving.ts';
import { type CommandLine, commandLine } from './commands.ts';

describe('evidence', () => {
  async function recorded() {
    const line = await commandLine();
    const R = await line.create();
    const file = line.write('plan.txt', 'Grundriss');
    await line.run('upload', '--registry', R, '--document', 'A', '--file', file);
    return { ...line, R };
  }

  test('a receipt is written, and verified by whoever has it, offline', async () => {
    const { run, R, path, lead, atLead } = await recorded();
    const out = path('receipt.json');

    const written = await run('receipt', '--registry', R, '--entry', '2', '--out', out);
    const before = atLead.arrived.length;
    const where = ['--ca', path('ca.pem'), '--registry', R];
    const verified = await run('verify-receipt', out, ...where);

    expect(written.lines[0]).toMatch(/receipt\.json: \d+ bytes, verified$/);
    expect(verified).toMatchObject({ code: 0 });
    expect(verified.lines[0]).toBe(`${out}: sound: registry ${R}`);
    expect(verified.lines[1]).toMatch(/^entry 2, digest [0-9a-f]{64}: final$/);
    expect(verified.lines[2]).toBe(`  lead   ${lead.id.slice(0, 8)}  recorded it`);
    expect(verified.lines.slice(4)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^upload-document, appended 20/),
        '  documentId     A',
        '  name           plan.txt',
      ]),
    );
    expect(atLead.arrived.length).toBe(before);
    const again = await run('receipt', '--registry', R, '--entry', '2', '--out', out);
    expect(again).toMatchObject({ code: 1, lines: [expect.stringMatching(/not overwritten/)] });
  });

  test.each([
    ['changed', (text: string) => text.replace('plan.txt', 'plan.doc'), /WRONG: DETAILS_DIGEST/],
    ['cut off', (text: string) => text.slice(0, 100), /WRONG: NOT_JSON/],
  ])('a receipt that was %s is found wrong', async (_what, change, sentence) => {
    const { run, R, path, read, write } = await recorded();
    await run('receipt', '--registry', R, '--entry', '2', '--out', path('receipt.json'));
    const file = write('changed.json', change(read('receipt.json').toString()));

    const { code, lines } = await run(
      'verify-receipt',
      file,
      '--ca',
      path('ca.pem'),
      '--registry',
      R,
    );

    expect(code).toBe(1);
    expect(lines.join()).toMatch(sentence);
  });

  test('a receipt is not verified against what is not its CA or no registry id', async () => {
    const { run, R, path, write } = await recorded();
    const out = path('receipt.json');
    await run('receipt', '--registry', R, '--entry', '2', '--out', out);

    const noCa = await run('verify-receipt', out, '--ca', path('plan.txt'), '--registry', R);
    const leaf = path('lead-certificate.pem');
    const noAuthority = await run('verify-receipt', out, '--ca', leaf, '--registry', R);
    const other = write('other.pem', testAuthority('Other').certificatePem);
    const otherCa = await run('verify-receipt', out, '--ca', other, '--registry', R);
    const noId = await run('verify-receipt', out, '--ca', path('ca.pem'), '--registry', 'R');

    expect(noCa).toMatchObject({ code: 1, lines: [expect.stringMatching(/holds no CA cert/)] });
    expect(noAuthority).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/lead-certificate\.pem holds no CA certificate/)],
    });
    expect(otherCa).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/WRONG: .*, or this is the CA of another cluster$/)],
    });
    expect(noId).toMatchObject({ code: 1, lines: [expect.stringMatching(/64 hex digits/)] });
  });

  test('who confirmed what is a table', async () => {
    const { run, R, lead, mirror } = await recorded();

    const { lines } = await run('confirmations', '--registry', R);
    const part = await run('confirmations', '--registry', R, '--from', '2', '--to', '2');

    expect(lines[0]).toMatch(
      new RegExp(`entry +status +${lead.id.slice(0, 8)} +${mirror.id.slice(0, 8)}`),
    );
    expect(lines[1]).toMatch(/^ +1 +final +leads +20\d\d-\S+Z$/);
    expect(lines).toHaveLength(3);
    expect(part.lines).toHaveLength(2);
  });

  test('an operator takes the words of an entry out, and an export says so', async () => {
    const { run, R, lead, atLead, profile, path, write } = await recorded();
    const operator = profile('operator', atLead.profile(lead.operator));
    const order = ['redact', '--registry', R, '--entry', '2', '--reason', 'Löschverlangen'];

    const refused = await run(...order);
    const done = await run(...order, '--profile', operator);
    const again = await run(...order.slice(0, -1), 'anderer Grund', '--profile', operator);

    expect(refused).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/^ROLE_NOT_ALLOWED: /)],
    });
    expect(done.lines[0]).toBe(
      `entry 2: its details are gone from the copy of ${lead.id.slice(0, 8)}`,
    );
    expect(again.code).toBe(0);
    expect(again.lines).toEqual([
      `entry 2: its details were redacted before, at ${lead.id.slice(0, 8)}`,
      `decided by ${lead.operator.certificateId}; this reason stays: Löschverlangen`,
    ]);
    expect((await run('documents', '--registry', R)).lines[0]).toMatch(/\(name redacted\)$/);
    await run('receipt', '--registry', R, '--entry', '2', '--out', path('redacted.json'));
    const where = ['--ca', path('ca.pem'), '--registry', R];
    const verified = await run('verify-receipt', path('redacted.json'), ...where);
    expect(verified.lines.at(-1)).toMatch(/redacted at .*: Löschverlangen$/);
    const text: string[] = [];
    for await (const each of exportLines(lead.known, R as never)) text.push(`${each}\n`);
    const exported = await run('verify-export', write('export.jsonl', text.join('')));
    expect(exported.code).toBe(0);
    expect(exported.lines.slice(5)).toEqual([
      expect.stringMatching(/^ {2}[0-9a-f]{8} has confirmed 2 times, newest through entry 2$/),
      expect.stringMatching(
        /^ {2}entry 2: details redacted at [0-9a-f]{8}, decided by [0-9a-f]{8}$/,
      ),
    ]);
  });
});

describe('an export', () => {
  /** Of the entries 1 to 3, with what each line of the ledger is. */
  async function exported() {
    const line = await commandLine();
    const R = await line.create();
    for (const name of ['A', 'B']) {
      const file = line.write(`${name}.txt`, name);
      await line.run('upload', '--registry', R, '--document', name, '--file', file);
    }
    const lines = await linesOf(line, R);
    return { ...line, R, lines, file: line.write('export.jsonl', lines.join('')) };
  }

  async function linesOf({ lead }: CommandLine, registryId: string): Promise<string[]> {
    const lines: string[] = [];
    for await (const each of exportLines(lead.known, registryId as never)) lines.push(`${each}\n`);
    return lines;
  }

  test('is verified with its head, which is compared with the one that is given', async () => {
    const { run, file, R } = await exported();
    const status = await run('status', '--registry', R);
    const digest = /digest ([0-9a-f]{64})/.exec(status.lines[1] ?? '')?.[1] ?? '';

    const alone = await run('verify-export', file);
    const same = await run('verify-export', file, '--head', digest);
    const other = await run('verify-export', file, '--head', R);
    const none = await run('verify-export', file, '--head', 'abc');

    expect(alone.lines.slice(0, 5)).toEqual([
      `${file}: sound: registry ${R}, 3 entries`,
      `  head   entry 3, digest ${digest}`,
      '  ids stand for keys: no certificate is in an export, and no CA was asked',
      expect.stringMatching(/^ {2}confirmations and closings may have been left out: compare/),
      expect.stringMatching(/^ {2}a file that was cut after a commit looks the same: compare/),
    ]);
    expect(same.code).toBe(0);
    expect(same.lines[1]).toBe(`  head   entry 3, digest ${digest}, as given`);
    expect(other).toMatchObject({ code: 1, lines: [expect.stringMatching(/WRONG HEAD: .*entry/)] });
    expect(none).toMatchObject({ code: 1, lines: [expect.stringMatching(/--head abc: expected/)] });
  });

  test('is verified with what people decided about its entries', async () => {
    const { run, write } = await commandLine();
    const [a, b] = [testPeer(), testPeer()];
    const ledger = new TestLedger([a, b]);
    ledger.upload('plan-1', 'plan-2');
    const resolves = [resolutionOf(ledger, [2, 3], { finder: b })];
    const supersedes = linkAt(ledger, 2);
    ledger.commit([uploadDocument('plan-1', { version: 2, supersedes })], { resolves });

    const { lines } = await run(
      'verify-export',
      write('export.jsonl', fileOf(ledger.lines()).toString()),
    );

    expect(lines.slice(5)).toEqual([
      expect.stringMatching(
        /^ {2}entry 4 carries out the resolution \w{8}: replace, decided by \w{8} at \w{8}$/,
      ),
      '  entry 2 is void; entry 4 takes its place',
      '  entry 3 is void',
    ]);
  });

  test('is verified with who has closed the registry, and with the one that it continues', async () => {
    const { run, write } = await commandLine();
    const [a, b] = [testPeer(), testPeer()];
    const { registryId: old } = new TestLedger([a]);
    const predecessor = { registryId: old, sequence: 1, digest: old };
    const ledger = new TestLedger([a, b], [a, b], { predecessor });
    const { registryId, digest } = ledger.head;
    const closing = { format: 'registry/closing/v1', registryId, digest, sequence: 1 };
    const closed = [
      { ...closing, signer: a.certificateId },
      { ...closing, signer: b.certificateId, digest: old },
      { ...closing, signer: b.certificateId, sequence: 2 },
    ];
    const signed = closed.map((each) =>
      encodeSignedLine((each.signer === a.certificateId ? a : b).sign(each as Closing)),
    );

    const { lines } = await run(
      'verify-export',
      write('export.jsonl', fileOf([...ledger.lines(), ...signed]).toString()),
    );

    const [first, second] = [a, b].map(({ certificateId }) => certificateId.slice(0, 8));
    expect(lines.slice(5)).toEqual([
      `  continues the registry ${old}, closed at entry 1, digest ${old}: verify its export, too`,
      `  ${first} has closed the registry at entry 1, digest ${digest}: it is in this ledger`,
      `  ${second} has closed the registry at entry 1, digest ${old}: this ledger has ANOTHER entry there`,
      `  ${second} has closed the registry at entry 2, digest ${digest}: this ledger ends before it`,
    ]);
  });

  test('that was changed, is not there or is a folder is told as such', async () => {
    const { run, write, lines, path } = await exported();
    const changed = write('changed.jsonl', lines.join('').replace('A.txt', 'C.txt'));
    mkdirSync(path('folder'));

    const wrong = await run('verify-export', changed);
    const absent = await run('verify-export', path('nothing'));
    const folder = await run('verify-export', path('folder'));

    expect(wrong).toMatchObject({ code: 1, lines: [expect.stringMatching(/WRONG at entry 2/)] });
    expect(absent).toEqual({
      code: 1,
      lines: [`${path('nothing')} cannot be read (ENOENT): name a file that is there`],
    });
    expect(folder).toMatchObject({ code: 1, lines: [expect.stringMatching(/read \(EISDIR\)/)] });
  });

  test('overwrites nothing', async () => {
    const { run, write, read, R } = await exported();
    const out = write('kept.jsonl', 'kept');

    const { code, lines } = await run('export', '--registry', R, '--out', out);

    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/kept\.jsonl exists and is not overwritten/)]);
    expect(read('kept.jsonl').toString()).toBe('kept');
  });

  test('has its name when all of it is written, and leaves nothing behind otherwise', async () => {
    const { path, read } = await commandLine();
    const whole = path('whole');
    mkdirSync(path('out'));
    const seen: string[][] = [];
    async function* pieces() {
      yield Buffer.from('a');
      seen.push(readdirSync(path('out')));
      yield Buffer.from('b');
    }
    async function* broken() {
      yield Buffer.from('a');
      throw new Error('the table is gone');
    }

    await writeWhole(path('out/whole'), pieces());
    const again = writeWhole(path('out/whole'), pieces());
    await expect(again).rejects.toThrow(/whole exists and is not overwritten/);
    await expect(writeWhole(path('out/half'), broken())).rejects.toThrow('the table is gone');
    await expect(writeWhole(`${whole}/none`, pieces())).rejects.toThrow(/cannot be written/);

    expect(seen[0]).not.toContain('whole');
    expect(read('out/whole').toString()).toBe('ab');
    expect(readdirSync(path('out'))).toEqual(['whole']);
  });
});
