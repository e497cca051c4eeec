/**
 * Whether a request is allowed within one account (AWS: "Policy evaluation logic", IAM User Guide):
 * refused unless a policy allows it, and whatever any policy denies is refused.
 */
import type { RequestContext } from './condition.ts';
import type { Pattern } from './pattern.ts';
import type { Audience, ResourceStatement, Statement } from './policy.ts';

/** One action on one resource. A request of a service may consist of several. */
export interface AccessRequest {
  /** `dynamodb:PutItem` */
  readonly action: string;
  /** ARN. */
  readonly resource: string;
  readonly context: RequestContext;
}

/** One action on one resource that a statement of a role allows, as written in the policy. */
export interface Grant {
  readonly action: Pattern;
  readonly resource: Pattern;
  readonly statement: Statement;
}

export type Decision =
  | { readonly outcome: 'allowed'; readonly by: readonly Grant[] }
  /** `why` ends the sentence that AWS answers with. */
  | { readonly outcome: 'refused'; readonly why: string };

/** What there is to judge by. */
export interface Policies {
  readonly roleArn: string;
  readonly denials: readonly Statement[];
  readonly grants: readonly Grant[];
  /** The policy that the resource itself has. */
  readonly ofResource: (arn: string) => readonly ResourceStatement[];
}

/** Every statement that allows something, taken apart. */
export function grantsOf(statements: readonly Statement[]): Grant[] {
  return statements
    .filter(({ effect }) => effect === 'Allow')
    .flatMap((statement) =>
      statement.actions.flatMap((action) =>
        statement.resources.map((resource) => ({ action, resource, statement })),
      ),
    );
}

export function decide(request: AccessRequest, policies: Policies): Decision {
  const { roleArn, denials, grants } = policies;
  if (denials.some((statement) => covers(statement, request)))
    return { outcome: 'refused', why: 'with an explicit deny in an identity-based policy' };
  const own = policies
    .ofResource(request.resource)
    .filter((statement) => reaches(statement.audience, roleArn) && covers(statement, request));
  if (own.some(({ effect }) => effect === 'Deny'))
    return { outcome: 'refused', why: 'with an explicit deny in a resource-based policy' };
  const by = grants.filter((grant) => grantCovers(grant, request));
  if (own.some(({ audience }) => audience.kind !== 'account')) return { outcome: 'allowed', by };
  // A key is its own master: the policies of roles count where its policy hands that to the account.
  if (request.action.startsWith('kms:') && own.length === 0)
    return { outcome: 'refused', why: because('resource', request) };
  if (by.length > 0) return { outcome: 'allowed', by };
  return { outcome: 'refused', why: because('identity', request) };
}

function because(kind: string, { action }: AccessRequest): string {
  return `because no ${kind}-based policy allows the ${action} action`;
}

function reaches(audience: Audience, roleArn: string): boolean {
  return audience.kind !== 'roles' || audience.arns.includes(roleArn);
}

function covers(statement: Statement, { action, resource, context }: AccessRequest): boolean {
  return (
    statement.actions.some((each) => each.matches(action)) &&
    statement.resources.some((each) => each.matches(resource)) &&
    statement.conditions.every((holds) => holds(context))
  );
}

function grantCovers(grant: Grant, { action, resource, context }: AccessRequest): boolean {
  return (
    grant.action.matches(action) &&
    grant.resource.matches(resource) &&
    grant.statement.conditions.every((holds) => holds(context))
  );
}
