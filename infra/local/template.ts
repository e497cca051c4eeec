/**
 * Reads synthesised CloudFormation templates far enough to run them on this machine.
 *
 * What is not understood is an error that names it: a setting that was silently left out here
 * would be found missing only where it costs most.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Resource {
  readonly stack: StackTemplate;
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface StackTemplate {
  readonly name: string;
  readonly resources: Readonly<Record<string, RawResource>>;
  readonly outputs: Readonly<Record<string, RawOutput>>;
}

interface RawResource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
}

interface RawOutput {
  readonly Value: unknown;
  readonly Export?: { readonly Name: unknown };
}

interface Manifest {
  readonly artifacts: Readonly<
    Record<
      string,
      {
        readonly type: string;
        readonly properties?: {
          readonly templateFile?: string;
          readonly stackName?: string;
          readonly directoryName?: string;
          readonly displayName?: string;
        };
      }
    >
  >;
}

/** What a deployed resource answers to `Ref` and to `Fn::GetAtt`, by the attribute's name. */
export type Attributes = Readonly<Record<'Ref' | string, string>>;

/** Reads the stacks of one stage from a cloud assembly. Throws when the stage is not in it. */
export function readStage(assembly: string, stage: string): StackTemplate[] {
  const nested = Object.values(readJson<Manifest>(join(assembly, 'manifest.json')).artifacts).find(
    ({ type, properties }) => type === 'cdk:cloud-assembly' && properties?.displayName === stage,
  )?.properties?.directoryName;
  if (nested === undefined) throw new Error(`${assembly} holds no stage "${stage}"`);
  const directory = join(assembly, nested);
  return Object.values(readJson<Manifest>(join(directory, 'manifest.json')).artifacts).flatMap(
    ({ type, properties }) => {
      if (type !== 'aws:cloudformation:stack' || properties?.templateFile === undefined) return [];
      const template = readJson<{
        Resources?: StackTemplate['resources'];
        Outputs?: StackTemplate['outputs'];
      }>(join(directory, properties.templateFile));
      const name = properties.stackName ?? properties.templateFile;
      return [{ name, resources: template.Resources ?? {}, outputs: template.Outputs ?? {} }];
    },
  );
}

function readJson<Shape>(file: string): Shape {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The templates of one stage together, with names for what they create. */
export class TemplateReader {
  readonly resources: readonly Resource[];
  private readonly pseudoParameters: Readonly<Record<string, string>>;
  private readonly attributesOf: (resource: Resource) => Attributes | undefined;
  private readonly exports: ReadonlyMap<string, { stack: StackTemplate; value: unknown }>;

  /** `attributesOf` answers undefined for resources that nothing here may refer to. */
  constructor(
    stacks: readonly StackTemplate[],
    place: { readonly region: string; readonly account: string },
    attributesOf: (resource: Resource) => Attributes | undefined,
  ) {
    this.attributesOf = attributesOf;
    this.pseudoParameters = {
      'AWS::Region': place.region,
      'AWS::AccountId': place.account,
      'AWS::Partition': 'aws',
      'AWS::URLSuffix': 'amazonaws.com',
    };
    this.resources = stacks.flatMap((stack) =>
      Object.entries(stack.resources).map(([logicalId, raw]) => ({
        stack,
        logicalId,
        type: raw.Type,
        properties: raw.Properties ?? {},
        metadata: raw.Metadata ?? {},
      })),
    );
    const exports = new Map<string, { stack: StackTemplate; value: unknown }>();
    for (const stack of stacks)
      for (const { Export, Value } of Object.values(stack.outputs))
        if (Export !== undefined)
          exports.set(this.text(stack, Export.Name, 'Export'), { stack, value: Value });
    this.exports = exports;
  }

  /** The value with every intrinsic function in it carried out. Throws on one it does not know. */
  resolve(stack: StackTemplate, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.resolve(stack, each));
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(value);
    const [first] = members;
    if (first !== undefined && members.length === 1 && /^(Ref$|Fn::|Condition$)/.test(first[0]))
      return this.intrinsic(stack, first[0], first[1]);
    return Object.fromEntries(members.map(([name, each]) => [name, this.resolve(stack, each)]));
  }

  private intrinsic(stack: StackTemplate, name: string, argument: unknown): unknown {
    switch (name) {
      case 'Ref':
        return this.ref(stack, this.text(stack, argument, name));
      case 'Fn::GetAtt':
        return this.attribute(stack, argument);
      case 'Fn::Join': {
        const [separator, parts] = this.pair(stack, argument, name);
        const texts = this.list(stack, parts, name).map((each) => this.text(stack, each, name));
        return texts.join(this.text(stack, separator, name));
      }
      case 'Fn::Split': {
        const [separator, text] = this.pair(stack, argument, name);
        return this.text(stack, text, name).split(this.text(stack, separator, name));
      }
      case 'Fn::Select': {
        const [index, list] = this.pair(stack, argument, name);
        return this.select(stack, index, this.list(stack, list, name));
      }
      case 'Fn::Sub':
        return this.substitute(stack, argument);
      case 'Fn::ImportValue':
        return this.imported(stack, this.text(stack, argument, name));
      default:
        throw new Error(`stack ${stack.name} uses ${name}, which the local runner does not know`);
    }
  }

  private ref(stack: StackTemplate, name: string): string {
    const pseudo = name === 'AWS::StackName' ? stack.name : this.pseudoParameters[name];
    return pseudo ?? this.attributeOf(stack, name, 'Ref');
  }

  private attribute(stack: StackTemplate, argument: unknown): string {
    const parts = typeof argument === 'string' ? argument.split('.') : argument;
    const [logicalId, ...names] = this.list(stack, parts, 'Fn::GetAtt');
    const attribute = names.map((each) => this.text(stack, each, 'Fn::GetAtt')).join('.');
    return this.attributeOf(stack, this.text(stack, logicalId, 'Fn::GetAtt'), attribute);
  }

  private attributeOf(stack: StackTemplate, logicalId: string, attribute: string): string {
    const resource = this.resources.find(
      (each) => each.stack === stack && each.logicalId === logicalId,
    );
    if (resource === undefined)
      throw new Error(`stack ${stack.name} refers to "${logicalId}", which it does not hold`);
    const value = this.attributesOf(resource)?.[attribute];
    if (value === undefined)
      throw new Error(
        `stack ${stack.name} asks for ${attribute} of ${logicalId} (${resource.type}), ` +
          'which the local runner does not know',
      );
    return value;
  }

  private select(stack: StackTemplate, index: unknown, list: readonly unknown[]): unknown {
    const chosen = list[Number(this.resolve(stack, index))];
    if (chosen === undefined)
      throw new Error(`stack ${stack.name} selects beyond the end of a list with Fn::Select`);
    return this.resolve(stack, chosen);
  }

  private substitute(stack: StackTemplate, argument: unknown): string {
    const [pattern, values] = Array.isArray(argument) ? argument : [argument, {}];
    const given: Readonly<Record<string, unknown>> = { ...Object(values) };
    return this.text(stack, pattern, 'Fn::Sub').replaceAll(
      /\$\{(!?)([^}]+)\}/g,
      (_, literal: string, name: string) => {
        if (literal === '!') return `\${${name}}`;
        if (given[name] !== undefined) return this.text(stack, given[name], 'Fn::Sub');
        return name.includes('.') ? this.attribute(stack, name) : this.ref(stack, name);
      },
    );
  }

  private imported(stack: StackTemplate, name: string): unknown {
    const exported = this.exports.get(name);
    if (exported === undefined)
      throw new Error(`stack ${stack.name} imports "${name}", which no stack exports`);
    return this.resolve(exported.stack, exported.value);
  }

  private pair(stack: StackTemplate, value: unknown, name: string): [unknown, unknown] {
    if (Array.isArray(value) && value.length === 2) return [value[0], value[1]];
    throw new Error(`stack ${stack.name} gives ${name} something other than two values`);
  }

  private list(stack: StackTemplate, value: unknown, name: string): unknown[] {
    const resolved = Array.isArray(value) ? value : this.resolve(stack, value);
    if (Array.isArray(resolved)) return resolved;
    throw new Error(`stack ${stack.name} gives ${name} something other than a list`);
  }

  private text(stack: StackTemplate, value: unknown, name: string): string {
    const resolved = this.resolve(stack, value);
    if (typeof resolved === 'string' || typeof resolved === 'number') return String(resolved);
    throw new Error(`stack ${stack.name} gives ${name} something other than text`);
  }
}
