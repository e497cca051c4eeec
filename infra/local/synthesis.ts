import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** The settings of an instance that a file of infra/instances holds, less what only AWS asks for. */
export interface LocalSettings {
  /** One or more certificates in PEM. */
  readonly clusterCa: string;
  /** Certificate ids by role. */
  readonly applications: readonly string[];
  readonly operators: readonly string[];
  readonly auditors: readonly string[];
  readonly denied: readonly string[];
  readonly admittedLeads: readonly string[] | 'any';
}

/**
 * Synthesises the instances with infra/app.ts, the same program that a deployment uses, without
 * bundles and domains. Gives the folder of the cloud assembly. Rejects with what the program says.
 */
export async function synthesise(
  root: string,
  directory: string,
  instances: ReadonlyMap<string, LocalSettings>,
): Promise<string> {
  const settings = join(directory, 'instances');
  // Whatever an earlier start left there is not an instance of this one.
  rmSync(settings, { recursive: true, force: true });
  mkdirSync(settings, { recursive: true });
  for (const [name, instance] of instances)
    writeFileSync(
      join(settings, `${name}.json`),
      `${JSON.stringify({ name, ...instance, localEndpoints: true }, null, 2)}\n`,
    );
  const { context } = JSON.parse(readFileSync(join(root, 'cdk.json'), 'utf8'));
  const assembly = join(directory, 'assembly');
  const program = spawn(process.execPath, [join(root, 'infra', 'app.ts')], {
    // All that it needs, and nothing of the account that this machine may be logged in to.
    env: {
      CDK_OUTDIR: assembly,
      CDK_CONTEXT_JSON: JSON.stringify({
        ...context,
        instances: settings,
        emulator: true,
        bundle: false,
      }),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const errors = text(program.stderr);
  const [code] = await once(program, 'close');
  if (code !== 0) throw new Error((await errors).trim());
  return assembly;
}
