import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { addInstances } from '../../infra/stacks/instance-stage.ts';

const ROOT = join(import.meta.dirname, '..', '..');

export interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
}

/** The templates of one stage by the stack's name within it, synthesised without bundles. */
export type Templates = Record<'storage' | 'replication' | 'api' | 'events' | 'alarms', Template>;

/** Synthesises as `cdk synth` does, with the project's feature flags; output goes to `outdir`. */
export function synthesise(
  outdir: string,
  context: Record<string, unknown> = {},
): (stage: string) => Templates {
  mkdirSync(outdir, { recursive: true });
  const flags = JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')).context;
  const app = new App({ outdir, context: { ...flags, bundle: false, ...context } });
  addInstances(app);
  const assembly = app.synth();
  return (stage) => {
    const { stacks } = assembly.getNestedAssembly(`assembly-${stage}`);
    const template = (name: string) => {
      const stack = stacks.find((each) => each.stackName === `${stage}-${name}`);
      if (stack === undefined) throw new Error(`no stack ${stage}-${name}`);
      return Template.fromJSON(stack.template);
    };
    return {
      storage: template('storage'),
      replication: template('replication'),
      api: template('api'),
      events: template('events'),
      alarms: template('alarms'),
    };
  };
}

/** What the roles of a template are allowed to do. */
export function allowed(template: Template): Statement[] {
  return Object.values(template.findResources('AWS::IAM::Policy'))
    .flatMap((policy): Statement[] => policy['Properties'].PolicyDocument.Statement)
    .filter(({ Effect }) => Effect === 'Allow');
}

/** The actions of some statements, each once, in order. */
export function actionsOf(statements: readonly Statement[]): string[] {
  return [...new Set(statements.flatMap(({ Action }) => Action))].sort();
}
