/** The commands that the documentation shows, run as they stand there, on a cluster after the story. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNarrator } from '../../infra/local/narrator.ts';
import { tellStory } from '../../infra/local/story.ts';
import { isOnPath } from '../programs.ts';
import { type LocalCluster, startLocalCluster } from './local-cluster.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Commands that other tests run: `npm start`, `npm test` itself, and the long ones. */
const ELSEWHERE = /^npm (?:start|test)|^npm run (?:bench|drill|synth)/m;

/** The shell blocks of a page, in order. */
function blocksOf(page: string): string[] {
  const blocks = readFileSync(join(ROOT, page), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, block = '']) => block).filter((block) => !ELSEWHERE.test(block));
}

/** What a person types is the same; only `npm run` does not start npm, which would take seconds. */
const PRELUDE = `set -euo pipefail
npm() {
  if [ "$1 $2 $3 $4" != "run -s registry --" ]; then echo "not run here: npm $*" >&2; return 1; fi
  shift 4
  node ${ROOT}/cli/registry.ts "$@"
}
`;

const programs = ['bash', 'curl', 'jq', 'openssl', 'sha256sum'];

describe.runIf(programs.every(isOnPath))('the commands of', () => {
  let local: LocalCluster;
  let folder: string;

  beforeAll(async () => {
    local = await startLocalCluster();
    const members = [...local.members.values()];
    const narrator = createNarrator(() => undefined);
    const directory = join(local.directory, 'story');
    await tellStory({ cluster: local.cluster, members, narrator, directory });
    for (const { name } of members) local.environmentFile(name);
    folder = mkdtempSync(join(tmpdir(), 'registry-docs-'));
    symlinkSync(local.directory, join(folder, '.registry'));
    for (const file of ['LICENSE', 'README.md']) copyFileSync(join(ROOT, file), join(folder, file));
  }, 180_000);

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await local.close();
  });

  /** Exit code and everything that was printed. */
  async function run(script: string): Promise<{ readonly code: number; readonly output: string }> {
    const file = join(folder, 'commands.sh');
    writeFileSync(file, script);
    const child = spawn('bash', [file], {
      cwd: folder,
      env: { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env['PATH']}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, error] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return { code: child.exitCode ?? 1, output: `${out}\n${error}` };
  }

  test.each([
    'README.md',
    'docs/first-round.md',
    'docs/api.md',
    'docs/local.md',
  ])('%s succeed, one after the other', async (page) => {
    const firstPort = local.members.get('client')?.instance.port ?? 0;
    const blocks = blocksOf(page).map((block) =>
      block.replaceAll(
        /localhost:844(\d)/g,
        (_, digit) => `localhost:${firstPort + Number(digit) - 1}`,
      ),
    );
    const marked = blocks.map((block, index) => `echo "== block ${index + 1}"\n${block}`);

    const { code, output } = await run(PRELUDE + marked.join('\n'));

    expect([code, output]).toEqual([0, expect.stringContaining(`== block ${blocks.length}`)]);
    // What an instance refuses is a problem with a code; nothing shown here is to be refused.
    expect(output).not.toMatch(/"type":"urn:registry:problem/);
  }, 240_000);
});
