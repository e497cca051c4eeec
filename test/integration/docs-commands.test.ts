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
import { freePort } from '../../infra/local/port.ts';
import { type SecretsServer, startSecretsServer } from '../../infra/local/secrets-server.ts';
import { tellStory } from '../../infra/local/story.ts';
import { isOnPath } from '../programs.ts';
import { type LocalCluster, startLocalCluster } from './local-cluster.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Commands that other tests run: `npm start`, `npm test` itself, and the long ones. */
const ELSEWHERE = /^npm (?:start|test)|^npm run (?:-s )?(?:bench|costs|drill|synth)/m;

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
    'docs/operations.md',
  ])('%s succeed, one after the other', async (page) => {
    const firstPort = local.members.get('client')?.instance.port ?? 0;
    const blocks = blocksOf(page).map((block) =>
      block.replaceAll(
        /localhost:844(\d)/g,
        (_, digit) => `localhost:${firstPort + Number(digit) - 1}`,
      ),
    );
    await expectSuccess(blocks);
  }, 240_000);

  async function expectSuccess(blocks: readonly string[], prelude = ''): Promise<string> {
    const marked = blocks.map((block, index) => `echo "== block ${index + 1}"\n${block}`);

    const { code, output } = await run(PRELUDE + prelude + marked.join('\n'));

    expect([code, output]).toEqual([0, expect.stringContaining(`== block ${blocks.length}`)]);
    // What an instance refuses is a problem with a code; nothing shown here is to be refused.
    expect(output).not.toMatch(/"type":"urn:registry:problem/);
    return output;
  }

  /** What a reader of the page has by then: profiles, a mirror's certificate, an empty secret. */
  async function readerOf(secrets: SecretsServer): Promise<string> {
    const arn = 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:Key';
    secrets.add({ accessKeyId: 'OPERATOR', arn, file: join(folder, 'secret.json') });
    const { endpoint } = JSON.parse(
      readFileSync(join(local.directory, 'client/profile.json'), 'utf8'),
    );
    const of = (name: string) => join(local.directory, name);
    for (const [file, who] of [
      ['profile.json', 'application'],
      ['operator-profile.json', 'operator'],
    ] as const) {
      const certificate = of(`client/${who}-certificate.pem`);
      const profile = { endpoint, certificate, key: of(`client/${who}-key.pem`) };
      const ca = of('ca-certificate.pem');
      writeFileSync(join(folder, file), JSON.stringify({ ...profile, ca }));
    }
    symlinkSync(of('architect'), join(folder, 'mirror'));
    const variables = {
      SECRET: arn,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'OPERATOR',
      AWS_SECRET_ACCESS_KEY: 'none',
    };
    return Object.entries(variables)
      .map(([name, value]) => `export ${name}='${value}'\n`)
      .join('');
  }

  test('docs/self-hosting.md that need no account succeed, one after the other', async () => {
    const secrets = await startSecretsServer(await freePort(0, 'a test'));
    try {
      const prelude = await readerOf(secrets);
      // The receipt is of the cluster here, which has a CA of its own.
      const blocks = blocksOf('docs/self-hosting.md').map((block) =>
        block.replace(/(verify-receipt .*--ca )\S+/, '$1.registry/ca-certificate.pem'),
      );

      const output = await expectSuccess(blocks, prelude);

      expect(output).not.toMatch(/PRIVATE KEY/);
      expect(output).toMatch(/entry 2, digest \S+: final/);
    } finally {
      await secrets.close();
    }
  }, 120_000);
});
