import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, type AppProps } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { addInstances } from '../../infra/stacks/instance-stage.ts';

const ROOT = join(import.meta.dirname, '..', '..');

export interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
}

/** The templates of one stage by the stack's name within it, synthesised without bundles. */
export type Templates = Record<(typeof stackNames)[number], Template>;

export const stackNames = ['keys', 'storage', 'replication', 'api', 'events', 'alarms'] as const;

/** An app with the project's feature flags, as `cdk` makes it; output goes to `outdir`. */
export function appIn(outdir: string, context: Record<string, unknown> = {}, props: AppProps = {}) {
  mkdirSync(outdir, { recursive: true });
  const flags = JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')).context;
  return new App({ outdir, context: { ...flags, bundle: false, ...context }, ...props });
}

/** Synthesises the instances, without the checks: they take seconds, and have tests of their own. */
export function synthesise(
  outdir: string,
  context: Record<string, unknown> = {},
): (stage: string) => Templates {
  const app = appIn(outdir, context, { builtinCloudFormationValidation: false });
  addInstances(app);
  return templatesOf(app.synth());
}

/** The templates of an assembly, by the name of the stage. */
export function templatesOf(assembly: CloudAssembly): (stage: string) => Templates {
  return (stage) => {
    const { stacks } = assembly.getNestedAssembly(`assembly-${stage}`);
    const template = (name: string) => {
      const stack = stacks.find((each) => each.stackName === `${stage}-${name}`);
      if (stack === undefined) throw new Error(`no stack ${stage}-${name}`);
      return Template.fromJSON(stack.template);
    };
    return Object.fromEntries(stackNames.map((name) => [name, template(name)])) as Templates;
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
