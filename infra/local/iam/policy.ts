/** Policy documents, read so that nothing in them is passed over. */
import { type Condition, parseConditions } from './condition.ts';
import { actionPattern, noneOf, type Pattern, resourcePattern } from './pattern.ts';

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly Pattern[];
  readonly resources: readonly Pattern[];
  readonly conditions: readonly Condition[];
  /** The conditions as the policy has them; empty when there are none. */
  readonly conditionText: string;
}

/** Whom a statement of a resource's own policy is about. */
export type Audience =
  | { readonly kind: 'everybody' }
  /** The account: it allows what policies of the account's identities allow, and nothing more. */
  | { readonly kind: 'account' }
  | { readonly kind: 'roles'; readonly arns: readonly string[] };

export interface ResourceStatement extends Statement {
  readonly audience: Audience;
}

/** Services whose actions are tried here, or known not to be. */
const SERVICES = new Set(['dynamodb', 'events', 'kms', 'logs', 's3', 'secretsmanager', 'sqs']);

const IDENTITY_ELEMENTS = [
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
];

/** Of a role's policy. Throws a sentence, without a place, for what it does not understand. */
export function parseIdentityPolicy(document: unknown): Statement[] {
  return statementsOf(document).map((statement) => parseStatement(statement, IDENTITY_ELEMENTS));
}

/**
 * Of a policy that a bucket, a queue or a key has. Statements about services of AWS are left out:
 * no function is one.
 */
export function parseResourcePolicy(document: unknown): ResourceStatement[] {
  return statementsOf(document).flatMap((statement) => {
    const audience = audienceOf(statement['Principal']);
    if (audience === undefined) return [];
    return [{ ...parseStatement(statement, [...IDENTITY_ELEMENTS, 'Principal']), audience }];
  });
}

type Members = Readonly<Record<string, unknown>>;

function statementsOf(document: unknown): Members[] {
  const { Version, Statement, Id: _, ...others }: Members = { ...Object(document) };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Error(`a policy has the member ${unknown}`);
  if (Version !== '2012-10-17') throw new Error(`a policy has the version ${String(Version)}`);
  return [Statement].flat().map((each: unknown) => ({ ...Object(each) }));
}

function parseStatement(statement: Members, elements: readonly string[]): Statement {
  const unknown = Object.keys(statement).find((name) => !elements.includes(name));
  if (unknown !== undefined) throw new Error(`a statement has the element ${unknown}`);
  const { Effect } = statement;
  if (Effect !== 'Allow' && Effect !== 'Deny')
    throw new Error(`a statement has the effect ${String(Effect)}`);
  return {
    effect: Effect,
    actions: choice(statement, 'Action', knownAction),
    resources: choice(statement, 'Resource', resourcePattern),
    conditions: parseConditions(statement['Condition']),
    conditionText:
      statement['Condition'] === undefined ? '' : JSON.stringify(statement['Condition']),
  };
}

function choice(
  statement: Members,
  name: 'Action' | 'Resource',
  parse: (text: string) => Pattern,
): Pattern[] {
  const chosen = patternsOf(statement[name], parse);
  const left = patternsOf(statement[`Not${name}`], parse);
  if ((chosen.length === 0) === (left.length === 0))
    throw new Error(`a statement needs either ${name} or Not${name}`);
  return left.length === 0 ? chosen : [noneOf(left)];
}

function patternsOf(element: unknown, parse: (text: string) => Pattern): Pattern[] {
  if (element === undefined) return [];
  return [element].flat().map((each: unknown) => {
    if (typeof each !== 'string') throw new Error('a statement names something that is no text');
    return parse(each);
  });
}

function knownAction(text: string): Pattern {
  const service = text.slice(0, text.indexOf(':')).toLowerCase();
  if (text !== '*' && !SERVICES.has(service))
    throw new Error(
      `the action ${text} is of a service whose rights the local runner cannot check`,
    );
  return actionPattern(text);
}

const ROOT = /^arn:aws:iam::\d{12}:root$/;
const ROLE = /^arn:aws:iam::\d{12}:role\/[^*?]+$/;

/** Undefined for services of AWS. */
function audienceOf(principal: unknown): Audience | undefined {
  if (principal === '*') return { kind: 'everybody' };
  const [[kind, value] = [], ...others] = Object.entries({ ...Object(principal) });
  const names = [value].flat().map(String);
  if (others.length > 0) throw new Error('a statement has principals of several kinds');
  if (kind === 'Service') return undefined;
  if (kind === 'AWS' && names.every((name) => name === '*')) return { kind: 'everybody' };
  if (kind === 'AWS' && names.every((name) => ROOT.test(name))) return { kind: 'account' };
  if (kind === 'AWS' && names.every((name) => ROLE.test(name)))
    return { kind: 'roles', arns: names };
  throw new Error(`the principal ${JSON.stringify(principal)} is not one that is understood here`);
}
