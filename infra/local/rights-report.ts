/** What a run of the cluster says about the roles of the templates. */
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { NamedGrant } from './identity.ts';

export interface RefusedCall {
  readonly instance: string;
  /** Path of its source. */
  readonly function: string;
  /** As AWS says it. */
  readonly sentence: string;
}

export interface FunctionUse {
  readonly instance: string;
  /** Path of its source. */
  readonly function: string;
  readonly unused: readonly NamedGrant[];
}

export interface RightsReport {
  /** Calls that no role allowed, or that a policy denies: a grant that is missing. */
  readonly refused: readonly RefusedCall[];
  /**
   * By function, what its role allows and no instance used: `sqs:SendMessage on FetchQueue…`.
   * Resources are named without region, account and instance.
   */
  readonly unused: Readonly<Record<string, readonly string[]>>;
}

export const RIGHTS_FILE = 'rights.json';

/** All instances have the same functions: what one of them used is used. */
export function reportRights(
  functions: readonly FunctionUse[],
  refused: readonly RefusedCall[],
): RightsReport {
  const unused: Record<string, string[]> = {};
  for (const [entry, uses] of Map.groupBy(functions, (each) => each.function)) {
    const named = uses.map(({ instance, unused: grants }) =>
      grants.map((grant) => describe(grant, instance)),
    );
    const [first = [], ...others] = named;
    const inAll = first.filter((grant) => others.every((each) => each.includes(grant)));
    unused[basename(entry, '.lambda.ts')] = [...new Set(inAll)].toSorted();
  }
  return { refused: [...refused], unused };
}

/** As `rights.json` in the cluster's folder. */
export function writeRights(directory: string, report: RightsReport): void {
  writeFileSync(join(directory, RIGHTS_FILE), `${JSON.stringify(report, null, 2)}\n`);
}

function describe({ action, resource, condition }: NamedGrant, instance: string): string {
  const name = resource === '*' ? '*' : resource.split(':').slice(5).join(':');
  const place = name.replaceAll(`${instance}-`, '').replaceAll(`-${instance}`, '');
  return `${action} on ${place}${condition === '' ? '' : ` if ${condition}`}`;
}
