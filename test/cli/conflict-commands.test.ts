import { describe, expect, test } from 'vitest';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { uploadDocument } from '../builders.ts';
import { testAuthority } from '../certificate-authority.ts';
import { reportMissingBytes, reportTampering } from '../deciding.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import { testSigner } from '../signing.ts';
import { commandLine } from './commands.ts';

/** A registry with version 1 of A, and profiles of the operators of both instances. */
async function operated() {
  const line = await commandLine();
  const { lead, mirror, atLead, atMirror, profile, run, write } = line;
  const R = (await line.create()) as RegistryId;
  const file = write('plan.txt', 'Grundriss');
  await run('upload', '--registry', R, '--document', 'A', '--file', file);
  const operator = ['--profile', profile('operator', atLead.profile(lead.operator))];
  const other = ['--profile', profile('other', atMirror.profile(mirror.operator))];
  return { ...line, R, file, operator, other };
}

async function tampered() {
  const held = await operated();
  const conflictId = await reportTampering(held.mirror, held.R, 2);
  await held.cluster.settle();
  return { ...held, conflictId };
}

async function bytesMissing() {
  const held = await operated();
  const conflictId = await reportMissingBytes(held.mirror, held.R, 2);
  await held.cluster.settle();
  return { ...held, conflictId };
}

async function accusedLead() {
  const held = await operated();
  const { cluster, lead, mirror, R } = held;
  const head = await lead.known.head(R);
  const { commit } = forgeCommit(lead.ports.signer, head, [uploadDocument('X', { version: 7 })]);
  const body = encodeMessage(deliveryOf(R, commit));
  await lead.ports.transport.call(mirror.id, { operation: 'deliver', registryId: R, body });
  await cluster.settle();
  const [opened] = await mirror.known.conflicts(R);
  return { ...held, conflictId: opened?.conflictId ?? '' };
}

const short = (id: string) => id.slice(0, 8);

describe('conflicts', () => {
  test('are listed, and one of them is told with its story and what comes next', async () => {
    const { run, R, conflictId, mirror, lead, atLead, atMirror, operator } = await tampered();

    const listed = await run('conflicts', '--registry', R);
    await run('resolve', '--registry', R, '--manner', 'replay', '--reason', 'geprüft', ...operator);
    const story = await run('conflict', conflictId, '--registry', R);
    const decided = await run('conflicts', '--registry', R);

    expect(listed.lines).toEqual([
      expect.stringMatching(
        new RegExp(
          `^OPEN +20\\S+Z {2}local-tampering at entry 2, ${short(mirror.id)} about itself$`,
        ),
      ),
      `  ${conflictId}`,
    ]);
    expect(story.lines).toEqual([
      `conflict ${conflictId}: OPEN`,
      `local-tampering at entry 2, ${short(mirror.id)} about itself`,
      expect.stringMatching(
        new RegExp(
          `^ {2}20\\S+Z {2}reported by ${short(mirror.id)}, by its clock \\(arrived here 20\\S+Z\\)$`,
        ),
      ),
      `    CLAIMED by ${short(mirror.id)} about itself: "entry 2 was changed"`,
      expect.stringMatching(
        new RegExp(
          `^ {2}arrived here 20\\S+Z {2}decided replay by ${short(lead.operator.certificateId)} at ${short(lead.id)}: ` +
            '"geprüft", resolution [0-9a-f]{64}$',
        ),
      ),
      expect.stringMatching(/^PROVEN and CLAIMED: as this instance finds; .*check it$/),
      'can be decided here: replay, expel, close',
      `lead: ${short(lead.id)} ${atLead.origin}`,
      `next: An operator there sets the copy of ${atMirror.origin} aside. Then it closes as soon ` +
        `as whoever reported it has confirmed entry 2. Missing: ${atMirror.origin}.`,
    ]);
    expect(decided.lines[0]).toMatch(/, resolution [0-9a-f]{8}$/);
    expect(decided.lines.at(-1)).toMatch(/^in force: replay, resolution [0-9a-f]{64}$/);
  });

  test('that are none are told as such', async () => {
    const { run, R } = await operated();

    const none = await run('conflicts', '--registry', R);
    const unknown = await run('conflict', '0'.repeat(64), '--registry', R);

    expect(none).toEqual({ code: 0, lines: ['this registry has no conflicts'] });
    expect(unknown).toMatchObject({ code: 1, lines: [expect.stringMatching(/^CONFLICT_UNKNOWN/)] });
  });
});

describe('the file about a conflict', () => {
  async function written() {
    const held = await accusedLead();
    const out = held.path('conflict.json');
    const told = await held.run('conflict', held.conflictId, '--registry', held.R, '--out', out);
    return { ...held, out, told };
  }

  test('is written once, and says offline what is proven and about whom', async () => {
    const { run, R, out, told, path, conflictId, lead, atLead } = await written();
    const before = atLead.arrived.length;

    const found = await run('verify-conflict', out, '--ca', path('ca.pem'), '--registry', R);
    const alone = await run('verify-conflict', out);
    const same = await run('verify', out, '--ca', path('ca.pem'));

    expect(told.lines.at(-1)).toMatch(/^\S+conflict\.json: \d+ bytes; "registry verify-conflict"/);
    expect(found).toMatchObject({ code: 0 });
    expect(found.lines.slice(0, 4)).toEqual([
      `${out}: sound`,
      `registry ${R}, as given`,
      `conflict ${conflictId}: invalid-transaction at entry 3, where ${lead.id} led`,
      `proven about: ${lead.id}; its key signed, and who used the key is not shown`,
    ]);
    expect(found.lines[4]).toMatch(new RegExp(`^ {2}PROVEN about ${lead.id}: `));
    expect(found.lines).toContain('certificates: of the cluster whose CA was given; they name');
    expect(found.lines).toContainEqual(
      expect.stringMatching(new RegExp(`^ {2}${lead.id}: CN=.*, ${atLead.origin}$`)),
    );
    expect(found.lines.at(-1)).toMatch(/^whole statements may be missing: compare/);
    expect(alone.lines[1]).toBe(
      `registry ${R}: NOT compared with any; name the one that you know with --registry`,
    );
    expect(alone.lines.join()).toMatch(/not held against any CA/);
    expect(same.lines.slice(2)).toEqual(found.lines.slice(2));
    expect(atLead.arrived.length).toBe(before);
    const again = await run('conflict', conflictId, '--registry', R, '--out', out);
    expect(again).toMatchObject({ code: 1, lines: [expect.stringMatching(/not overwritten/)] });
  });

  test('that was changed, or is something else, is found wrong', async () => {
    const { run, R, out, path, read, write } = await written();
    const wrong = write('wrong.json', read('conflict.json').toString().replace('"reports":[]', ''));
    const other = write('other.pem', testAuthority('Other').certificatePem);
    await run('receipt', '--registry', R, '--entry', '2', '--out', path('receipt.json'));

    const changed = await run('verify-conflict', wrong);
    const otherCa = await run('verify-conflict', out, '--ca', other);
    const otherRegistry = await run('verify-conflict', out, '--registry', 'ab'.repeat(32));
    const noId = await run('verify-conflict', out, '--registry', 'R');
    const receipt = await run('verify', path('receipt.json'));

    expect(changed).toMatchObject({ code: 1, lines: [expect.stringMatching(/WRONG: NOT_JSON/)] });
    expect(otherCa).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/WRONG: CONFLICT_FILE_CERTIFICATE_REFUSED/)],
    });
    expect(otherRegistry.lines.join()).toMatch(/WRONG: REGISTRY_DIFFERS/);
    expect(noId.lines.join()).toMatch(/64 hex digits/);
    expect(receipt.lines.join()).toMatch(/WRONG: UNKNOWN_FORMAT: .*"verify-receipt" for receipts$/);
  });

  test('of a claim says that nothing is proven about anybody', async () => {
    const { run, R, conflictId, path, mirror } = await tampered();
    const out = path('conflict.json');
    await run('conflict', conflictId, '--registry', R, '--out', out);

    const { lines } = await run('verify-conflict', out);

    expect(lines[3]).toBe('nothing is proven about anybody');
    expect(lines[4]).toMatch(new RegExp(`^ {2}CLAIMED by ${mirror.id} about itself on 20`));
  });
});

describe('an operator', () => {
  test('decides, has the wrong copy set aside, and the registry goes on', async () => {
    const { run, R, operator, other, mirror, conflictId, write } = await tampered();
    const resolving = ['resolve', '--registry', R, '--manner', 'replay', '--reason', 'geprüft'];

    const decided = await run(...resolving, '--conflict', conflictId, ...operator);
    const aside = await run('set-aside', '--registry', R, '--reason', 'Platte', ...other);
    const listed = await run('conflicts', '--registry', R);
    const file = write('next.txt', 'Schnitt');
    const uploaded = await run('upload', '--registry', R, '--document', 'B', '--file', file);

    expect(decided.lines).toEqual([
      'decided: replay',
      expect.stringMatching(/^resolution [0-9a-f]{64}, with the ledger at entry 2$/),
      expect.stringMatching(/^next: /),
    ]);
    expect(aside.lines).toEqual([
      `copy 2 of the ledger at ${short(mirror.id)} begins at entry 1`,
      'what was there before is kept, as evidence',
    ]);
    expect(listed.lines[0]).toMatch(/^resolved +20.*, resolution [0-9a-f]{8}$/);
    expect(uploaded.code).toBe(0);
  });

  test('sets a copy aside once: the second time hears what was done', async () => {
    const { run, R, other, mirror } = await tampered();
    const aside = ['set-aside', '--registry', R, ...other];
    const first = await run(...aside, '--reason', 'Platte');

    const again = await run(...aside, '--reason', 'noch einmal');

    expect(again.lines).toEqual([
      ...first.lines,
      expect.stringMatching(/^that was done before, at 20.*Z: Platte; nothing was done now$/),
    ]);
    expect(await mirror.known.head(R)).toMatchObject({ copy: 2 });
  });

  test('expels in one go, and once more where it was interrupted', async () => {
    const { run, R, operator, other, mirror } = await tampered();
    const expelling = ['resolve', '--registry', R, '--reason', 'insolvent', ...operator];
    await run(...expelling, '--manner', 'expel');

    const done = await run(...expelling, '--expel', short(mirror.id));

    expect(done.lines).toEqual([
      'was decided before: expel',
      expect.stringMatching(/^resolution /),
      expect.stringMatching(/^carried out: entry 3, digest [0-9a-f]{64}$/),
      'next: Nothing: it is resolved here.',
    ]);
    expect((await run('status', '--registry', R)).lines[2]).toBe('conflicts none');
    const there = await run('status', '--registry', R, ...other);
    expect(there.lines[2]).toBe('LEFT     no peer of this registry any more since entry 3');
  });

  test('signs no expulsion that could not be carried out', async () => {
    const { run, R, operator, lead, cluster, conflictId } = await tampered();
    const expelling = ['resolve', '--registry', R, '--reason', 'insolvent', ...operator];

    const stranger = await run(...expelling, '--expel', 'ab'.repeat(32));
    const tooShort = await run(...expelling, '--expel', lead.id.slice(0, 7));
    const leader = await run(...expelling, '--expel', lead.id);

    expect(stranger.lines).toEqual([
      expect.stringMatching(/^ARGUMENT_INVALID: .*not in the peer list/),
    ]);
    expect(tooShort.lines).toEqual([
      expect.stringMatching(/^ARGUMENT_INVALID: .*not in the peer list/),
    ]);
    expect(leader.lines).toEqual([
      expect.stringMatching(/leads, and cannot be expelled.*nothing was decided$/),
    ]);
    const { lines } = await run('conflicts', '--registry', R);
    expect(lines).toEqual([expect.stringMatching(/^OPEN/), `  ${conflictId}`]);
    await cluster.settle();
    expect((await lead.known.kept(R)).filter(({ kind }) => kind === 'resolution')).toEqual([]);
  });

  test('decides once: the second time it is shown the first decision', async () => {
    const { run, R, operator } = await tampered();
    const resolving = ['resolve', '--registry', R, '--manner', 'replay', ...operator];
    const first = await run(...resolving, '--reason', 'geprüft');

    const same = await run(...resolving, '--reason', 'geprüft');
    const other = await run(...resolving, '--reason', 'anders');

    expect(first.lines[0]).toBe('decided: replay');
    expect(same.lines[0]).toBe('was decided before: replay');
    expect(other.lines).toEqual([
      expect.stringMatching(
        /^RESOLUTION_IN_FORCE: .*\(replay\) is in force, decided by [0-9a-f]{64} at 20.*Z: "geprüft"; .*--after/,
      ),
    ]);
  });

  test('goes on without a peer that answers only where that is said twice', async () => {
    const { run, R, operator, lead, mirror, cluster } = await operated();
    await reportTampering(lead, R, 2);
    await cluster.settle();
    const taking = ['resolve', '--registry', R, '--manner', 'take-back', '--reason', 'Platte'];
    const without = [...taking, '--without', short(mirror.id), ...operator];

    const refused = await run(...without);
    const done = await run(...without, '--although-it-answers');

    expect(refused.code).toBe(1);
    expect(refused.lines).toEqual([
      expect.stringMatching(new RegExp(`^--without ${mirror.id} \\(.*nothing was decided$`)),
    ]);
    expect(done.lines[0]).toBe('decided: take-back');
    const { lines } = await run('conflicts', '--registry', R);
    const story = await run('conflict', lines[1]?.trim() ?? '', '--registry', R);
    expect(story.lines.join('\n')).toContain(`"Platte (without ${mirror.id})"`);
  });

  test('has an entry replaced, which the tables show with the reason', async () => {
    const { run, R, operator, write } = await bytesMissing();
    const replacing = ['--manner', 'replace', '--entries', '2', '--reason', 'verloren'];
    await run('resolve', '--registry', R, ...replacing, ...operator);
    const file = write('again.txt', 'Grundriss, noch einmal');
    const upload = ['upload', '--registry', R, '--document', 'A', '--file', file];

    const without = await run(...upload);
    const uploaded = await run(...upload, '--supersedes', '2', ...operator);
    const { lines } = await run('document', '--registry', R, '--document', 'A');

    expect(without.lines.join()).toMatch(/^REGISTRY_IN_CONFLICT: /);
    expect(uploaded.lines[0]).toBe('A version 2: entry 3');
    expect(lines[0]).toMatch(/plan\.txt {2}superseded by entry 3: verloren$/);
    expect(lines[2]).not.toMatch(/superseded/);
  });

  test('voids without anything in the place', async () => {
    const { run, R, operator, conflictId } = await bytesMissing();
    const voiding = ['--void', '--entries', '2', '--reason', 'verloren'];

    const done = await run('resolve', '--registry', R, ...voiding, ...operator);

    expect(done.lines[0]).toBe('decided: replace');
    expect(done.lines[2]).toMatch(/^carried out: entry 3/);
    const { lines } = await run('document', '--registry', R, '--document', 'A');
    expect(lines[0]).toMatch(/ {2}voided with entry 3: verloren$/);
    const story = await run('conflict', conflictId, '--registry', R);
    expect(story.lines.join()).toMatch(/decided replace of entries 2 by/);
  });

  test('hears which entry a replacement lacks, in the words of the command', async () => {
    const { run, R, operator, mirror, cluster, file } = await operated();
    await run('upload', '--registry', R, '--document', 'B', '--file', file);
    await reportMissingBytes(mirror, R, 2);
    await cluster.settle();
    const voiding = ['--void', '--entries', '3', '--reason', 'verloren'];

    const lacking = await run('resolve', '--registry', R, ...voiding, ...operator);

    expect(lacking.lines).toEqual([
      expect.stringMatching(/^RESOLUTION_MALFORMED: .*lacks entry 2 \(--entries 2\), which/),
    ]);
  });

  test('has a request replaced by another one', async () => {
    const { run, R, operator, write, file, mirror, cluster } = await operated();
    await run('upload', '--registry', R, '--document', 'B', '--file', file);
    const key = write('signer.json', JSON.stringify(testSigner('ES256').publicKey));
    const asking = ['request-signature', '--registry', R, '--document', 'B', '--version', '1'];
    const rest = ['--key', key, '--purpose', 'approval', '--signer'];
    await run(...asking, ...rest, 'Dr. Weiß');
    await reportMissingBytes(mirror, R, 2);
    await cluster.settle();
    const replacing = ['--manner', 'replace', '--entries', '2, 4', '--reason', 'falsch'];
    await run('resolve', '--registry', R, ...replacing, ...operator);

    const again = await run(...asking, ...rest, 'Dr. Schwarz', '--supersedes', '4');

    expect(again.lines[0]).toMatch(/: entry 5$/);
    expect((await run('conflicts', '--registry', R)).lines[0]).toMatch(/^resolved /);
    const listed = await run('signing-requests', '--registry', R);
    expect(listed.lines).toEqual([expect.stringMatching(/Dr\. Schwarz$/)]);
  });

  test('of a mirror accepts what the accused lead decided', async () => {
    const { run, R, operator, other, mirror, lead } = await accusedLead();
    const resolving = ['resolve', '--registry', R, '--manner', 'replay', '--reason', 'Fehler'];
    const { lines } = await run(...resolving, ...operator);
    const digest = /[0-9a-f]{64}/.exec(lines[1] ?? '')?.[0] ?? '';
    const waiting = await run('conflicts', '--registry', R, ...other);

    const accepting = ['accept', '--registry', R, '--resolution', digest, ...other];
    const accepted = await run(...accepting, '--reason', 'ja');
    const again = await run(...accepting, '--reason', 'doch');

    expect(waiting.lines[0]).toMatch(
      new RegExp(`^TO ACCEPT .*found by ${short(mirror.id)}, accused ${short(lead.id)}`),
    );
    const said = `resolution ${digest} is accepted at ${short(mirror.id)}`;
    expect(accepted.lines).toEqual([said]);
    expect(again.lines).toEqual([
      said,
      expect.stringMatching(/^that was done before, at 20.*Z: ja; nothing was done now$/),
    ]);
    const story = await run('conflict', waiting.lines[1]?.trim() ?? '', '--registry', R);
    expect(story.lines.join('\n')).toMatch(
      new RegExp(`accepted ${short(digest)} by [0-9a-f]{8} at ${short(mirror.id)}: "ja"`),
    );
  });

  test('closes the registry at the own instance, which another one continues', async () => {
    const { run, R, operator, lead, conflictId } = await tampered();

    const closed = await run('close', '--registry', R, ...operator);
    const again = await run('close', '--registry', R, ...operator);

    expect(closed.lines).toEqual([
      `registry ${R} is closed at ${short(lead.id)}`,
      expect.stringMatching(/^its last entry there is 2, digest [0-9a-f]{64}$/),
      '"registry create --predecessor" goes on with another one',
    ]);
    expect(again.lines[2]).toMatch(/^that was done before, at 20.*Z; nothing was done now$/);
    const create = ['create', '--name', 'Fortsetzung', '--predecessor', R];
    const successor = (await run(...create)).lines[0]?.replace('registry ', '') ?? '';
    const [first] = await lead.known.entries(successor as RegistryId, 1, { from: 1, count: 1 });
    expect(JSON.parse(Buffer.from(first?.transaction ?? '').toString())).toMatchObject({
      predecessor: { registryId: R, sequence: 2 },
    });
    const { lines } = await run('conflict', conflictId, '--registry', R);
    expect(lines.join()).toMatch(/closed at entry 2 by/);
  });

  test('is told what does not go together, and who may decide', async () => {
    const { run, R, operator, other, mirror } = await tampered();
    const reason = ['--reason', 'x'];

    const none = await run('resolve', '--registry', R, ...reason, ...operator);
    const both = await run(
      'resolve',
      '--registry',
      R,
      '--manner',
      'replay',
      '--void',
      ...reason,
      ...operator,
    );
    const application = await run('resolve', '--registry', R, '--manner', 'replay', ...reason);
    const wrong = [
      [['--manner', 'repair', ...reason], /^--manner repair: expected replay, expel/],
      [['--manner', 'replay', '--without', mirror.id, ...reason], /--without belongs to take-back/],
      [['--manner', 'replace', ...reason], /^--entries is missing: .*--entries 3,4/],
      [['--manner', 'replace', '--entries', '0', ...reason], /counted from 1/],
      [['--manner', 'replay', '--reason', '  '], /^--reason is missing/],
    ] as const;
    for (const [words, sentence] of wrong)
      expect(await run('resolve', '--registry', R, ...words, ...operator)).toEqual({
        code: 2,
        lines: [expect.stringMatching(sentence)],
      });
    const from = await run('set-aside', '--registry', R, '--from', '0', ...reason, ...other);
    expect(from).toEqual({ code: 2, lines: ['--from 0: entries are counted from 1'] });

    expect(none).toMatchObject({
      code: 2,
      lines: [expect.stringMatching(/expected replay, expel/)],
    });
    expect(both).toMatchObject({ code: 2, lines: [expect.stringMatching(/--void to replace/)] });
    expect(application).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/^ROLE_NOT_ALLOWED: /)],
    });
  });

  test('is told where the lead decides, and goes there unless told not to', async () => {
    const { run, R, other, atLead, conflictId } = await tampered();
    const deciding = ['resolve', '--registry', R, '--manner', 'replay', '--reason', 'x', ...other];

    const goes = await run(...deciding, '--conflict', conflictId);
    const stays = await run(...deciding, '--conflict', conflictId, '--no-follow');

    expect(goes.lines[0]).toMatch(new RegExp(`^deciding at ${atLead.origin}, where the lead `));
    expect(goes.lines[1]).toMatch(
      /^CALLER_NOT_LISTED: .*the operator of another instance decides at that one/,
    );
    expect(stays.lines).toEqual([expect.stringMatching(/^NOT_THE_LEAD: only the lead decides/)]);
  });
});
