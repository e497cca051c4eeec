/** The functions of one instance as the stand-ins for AWS know them. */
import { type AccessKey, accessKeyFor } from './emulators.ts';
import type { DynamoDbPlace, TableKeys } from './iam/dynamodb-access.ts';
import type { AccessRequest } from './iam/evaluate.ts';
import { queueAccess, streamAccess } from './iam/service-access.ts';
import { FunctionIdentity } from './identity.ts';
import type { FunctionPlan, InstancePlan, TablePlan } from './plan.ts';

/** By the function's name. */
export type InstanceIdentities = ReadonlyMap<string, FunctionIdentity>;

export interface IdentitiesOptions {
  readonly instance: string;
  readonly instanceKey: AccessKey;
  readonly plan: InstancePlan;
  readonly region: string;
  readonly account: string;
  readonly onRefusal: (planned: FunctionPlan, sentence: string) => void;
}

/** One for each function, with an access key of its own. */
export function identitiesOf(options: IdentitiesOptions): InstanceIdentities {
  const { instance, instanceKey, plan, region, account, onRefusal } = options;
  const tables = new Map(plan.tables.map((table) => [table.name, keysOf(table)]));
  const place: DynamoDbPlace = { region, account, tables };
  return new Map(
    plan.functions.map((planned) => [
      planned.name,
      new FunctionIdentity({
        accessKey: accessKeyFor(`${instance}/${planned.name}`),
        instanceKeyId: instanceKey.id,
        functionName: planned.name,
        roleArn: planned.roleArn,
        rights: plan.rights,
        place,
        onRefusal: (sentence) => onRefusal(planned, sentence),
      }),
    ]),
  );
}

/**
 * What wakes a function reads with the function's role. Lambda asks before it makes such a mapping
 * and refuses to make it. Throws what it says then; the pollers here need not ask again.
 */
export function checkMappings(plan: InstancePlan, identities: InstanceIdentities): void {
  const check = (functionName: string, requests: readonly AccessRequest[]) => {
    const refusal = identities.get(functionName)?.refusal(() => requests);
    if (refusal !== undefined) throw new Error(`nothing would wake ${functionName}: ${refusal}`);
  };
  for (const { functionName, streamArn, failureQueueArn } of plan.streams)
    check(functionName, streamAccess(streamArn, failureQueueArn));
  for (const { functionName, queueArn } of plan.pokes) check(functionName, queueAccess(queueArn));
}

function keysOf({ keySchema, globalSecondaryIndexes }: TablePlan): TableKeys {
  const indexes = globalSecondaryIndexes.map((index) => {
    const keys: unknown = index['KeySchema'];
    return [String(index['IndexName']), partitionOf(Array.isArray(keys) ? keys : [])] as const;
  });
  return { partition: partitionOf(keySchema), indexes: new Map(indexes) };
}

function partitionOf(keySchema: readonly unknown[]): string {
  const partition = keySchema.find((key) => Object(key)['KeyType'] === 'HASH');
  return String(Object(partition)['AttributeName']);
}
