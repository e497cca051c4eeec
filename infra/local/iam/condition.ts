/**
 * The `Condition` of a policy's statement, judged from what the request itself tells (AWS: "IAM JSON
 * policy elements: Condition operators" and "Multivalued context keys", IAM User Guide).
 */
import { resourcePattern, textPattern } from './pattern.ts';

/** By condition key in lower case. A key that the request does not have is not there. */
export type RequestContext = Readonly<Record<string, readonly string[]>>;

export type Condition = (context: RequestContext) => boolean;

/** The keys that requests here are given, and whether one may have several values. */
const KEYS: Readonly<Record<string, 'one' | 'many'>> = {
  'aws:securetransport': 'one',
  'dynamodb:attributes': 'many',
  'dynamodb:enclosingoperation': 'one',
  'dynamodb:leadingkeys': 'many',
  'kms:calleraccount': 'one',
  'kms:viaservice': 'one',
  's3:if-none-match': 'one',
  's3:objectcreationoperation': 'one',
};

interface Operator {
  readonly test: (expected: string) => (value: string) => boolean;
  /** True: holds where no value of the policy matches, and where the key is missing. */
  readonly negated: boolean;
}

const equals = (expected: string) => (value: string) => value === plain(expected);
const like = (expected: string) => textPattern(expected).matches;
const arnLike = (expected: string) => resourcePattern(expected).matches;
const bool = (expected: string) => (value: string) => value === expected.toLowerCase();

const OPERATORS: Readonly<Record<string, Operator>> = {
  ArnEquals: { test: arnLike, negated: false },
  ArnLike: { test: arnLike, negated: false },
  ArnNotEquals: { test: arnLike, negated: true },
  ArnNotLike: { test: arnLike, negated: true },
  Bool: { test: bool, negated: false },
  StringEquals: { test: equals, negated: false },
  StringLike: { test: like, negated: false },
  StringNotEquals: { test: equals, negated: true },
  StringNotLike: { test: like, negated: true },
};

/** All of them must hold. Throws a sentence for an operator or a key that cannot be judged here. */
export function parseConditions(element: unknown): Condition[] {
  return Object.entries({ ...Object(element) }).flatMap(([operator, keys]) =>
    Object.entries({ ...Object(keys) }).map(([key, values]) =>
      parseCondition(operator, key, [values].flat().map(String)),
    ),
  );
}

function parseCondition(name: string, key: string, values: readonly string[]): Condition {
  const known = key.toLowerCase();
  const count = KEYS[known];
  if (count === undefined)
    throw new Error(`the condition key ${key} is not one that the local runner knows`);
  if (name === 'Null') return nullCondition(known, values);
  const [, set, base = '', ifExists] =
    /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(name) ?? [];
  const operator = OPERATORS[base];
  if (operator === undefined)
    throw new Error(`the condition operator ${name} is not one that the local runner knows`);
  if (count === 'many' && set === undefined)
    throw new Error(`${key} has several values: ${name} needs ForAllValues: or ForAnyValue:`);
  const tests = values.map((value) => operator.test(value));
  const passes = (value: string) => tests.some((test) => test(value)) !== operator.negated;
  return (context) => {
    const given = context[known];
    if (given === undefined)
      return (
        set === 'ForAllValues' || ifExists !== undefined || (operator.negated && set === undefined)
      );
    return set === 'ForAnyValue' ? given.some(passes) : given.every(passes);
  };
}

function nullCondition(key: string, values: readonly string[]): Condition {
  const [value, ...others] = values;
  if (others.length > 0 || (value !== 'true' && value !== 'false'))
    throw new Error(`Null of ${key} is neither "true" nor "false"`);
  return (context) => (context[key] === undefined) === (value === 'true');
}

function plain(value: string): string {
  if (/\$\{/.test(value)) throw new Error(`"${value}" holds a policy variable`);
  return value;
}
