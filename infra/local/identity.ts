/** Who calls the stand-ins for AWS: a function with the rights of its role, or the runner itself. */
import type { AccessKey } from './emulators.ts';
import type { DynamoDbPlace } from './iam/dynamodb-access.ts';
import { type AccessRequest, decide, type Grant, grantsOf, type Policies } from './iam/evaluate.ts';
import { holderOf, type KeyPlace, keyAccess } from './iam/key-access.ts';
import type { RightsPlan } from './plan-rights.ts';

/** A right that a role has: the action and the resource as its policy writes them. */
export interface NamedGrant {
  readonly action: string;
  readonly resource: string;
  /** The condition that it is given on, as JSON; empty when there is none. */
  readonly condition: string;
}

export interface IdentityOptions {
  readonly accessKey: AccessKey;
  /** Under which the stand-ins keep what belongs to the instance. */
  readonly instanceKeyId: string;
  readonly functionName: string;
  readonly roleArn: string;
  readonly rights: RightsPlan;
  readonly place: DynamoDbPlace;
  /** Told every sentence of a refusal. */
  readonly onRefusal: (sentence: string) => void;
}

/**
 * Actions that no stand-in tries: a function's log is a file here, and on AWS it is Lambda that
 * writes it, with the role of the function.
 */
const NEVER_TRIED = new Set(['logs:CreateLogStream', 'logs:PutLogEvents']);

/** The stand-ins speak plain HTTP on this machine; the SDK speaks TLS to AWS. */
const SENT_SECURELY = { 'aws:securetransport': ['true'] };

/** One function, as the stand-ins know it by its access key. */
export class FunctionIdentity {
  readonly accessKey: AccessKey;
  readonly instanceKeyId: string;
  readonly place: DynamoDbPlace;
  readonly #userArn: string;
  readonly #policies: Policies;
  readonly #keyPlace: KeyPlace;
  readonly #used = new Set<Grant>();
  readonly #onRefusal: (sentence: string) => void;

  /** Throws when the function's role is not one that Lambda may take on. */
  constructor(options: IdentityOptions) {
    const { roleArn, functionName, rights, place } = options;
    const statements = rights.roles.get(roleArn);
    if (statements === undefined)
      throw new Error(
        `${functionName} has the role ${roleArn}, which is none that Lambda takes on`,
      );
    this.accessKey = options.accessKey;
    this.instanceKeyId = options.instanceKeyId;
    this.place = place;
    const role = roleArn.slice(roleArn.lastIndexOf('/') + 1);
    this.#userArn = `arn:aws:sts::${place.account}:assumed-role/${role}/${functionName}`;
    this.#policies = {
      roleArn,
      denials: statements.filter(({ effect }) => effect === 'Deny'),
      grants: grantsOf(statements),
      ofResource: (arn) => rights.ofResources.get(holderOf(arn)) ?? [],
    };
    this.#keyPlace = { ...place, keys: rights.keys };
    this.#onRefusal = options.onRefusal;
  }

  /**
   * The sentence that AWS would refuse with; undefined where all of it is allowed. A request whose
   * rights are not known here is refused as well, with what `read` throws: nothing passes unjudged.
   */
  refusal(read: () => readonly AccessRequest[]): string | undefined {
    const sentence = this.#firstRefusal(read);
    if (sentence !== undefined) this.#onRefusal(sentence);
    return sentence;
  }

  /** What the role allows and no call needed yet. */
  unusedGrants(): NamedGrant[] {
    return this.#policies.grants
      .filter((grant) => !this.#used.has(grant) && !NEVER_TRIED.has(grant.action.text))
      .map(({ action, resource, statement }) => ({
        action: action.text,
        resource: resource.text,
        condition: statement.conditionText,
      }));
  }

  #firstRefusal(read: () => readonly AccessRequest[]): string | undefined {
    try {
      const used: Grant[] = [];
      for (const request of read().flatMap((each) => [each, ...keyAccess(each, this.#keyPlace)])) {
        const context = { ...SENT_SECURELY, ...request.context };
        const decision = decide({ ...request, context }, this.#policies);
        if (decision.outcome === 'refused') return this.#sentence(request, decision.why);
        used.push(...decision.by);
      }
      // What is refused as a whole used nothing.
      for (const grant of used) this.#used.add(grant);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #sentence({ action, resource }: AccessRequest, why: string): string {
    // SQS alone writes its actions small.
    const written = (text: string) => text.replaceAll(/sqs:\w+/g, (each) => each.toLowerCase());
    return (
      `User: ${this.#userArn} is not authorized to perform: ${written(action)} ` +
      `on resource: ${resource} ${written(why)}`
    );
  }
}

/** All that the stand-ins may be called by, of all instances. */
export class Identities {
  readonly #functions = new Map<string, FunctionIdentity>();
  readonly #administrators: ReadonlySet<string>;

  /** The access keys of those who may do everything: one for each instance's account. */
  constructor(administrators: Iterable<string>) {
    this.#administrators = new Set(administrators);
  }

  add(identity: FunctionIdentity): void {
    this.#functions.set(identity.accessKey.id, identity);
  }

  isAdministrator(accessKeyId: string | undefined): boolean {
    return this.#administrators.has(accessKeyId ?? '');
  }

  /** Undefined for administrators, and for keys that nobody has. */
  functionOf(accessKeyId: string | undefined): FunctionIdentity | undefined {
    return this.#functions.get(accessKeyId ?? '');
  }
}
