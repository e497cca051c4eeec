/**
 * What the roles allow although the story of `npm start` does not use it, each with its reason. A
 * grant that is in neither list and is not used is one too many.
 */
import type { RightsReport } from '../../infra/local/rights-report.ts';

type Argued = readonly (readonly [grants: RegExp, reason: string])[];

/** No code of this project uses these, in whatever run. */
const never: Argued = [
  [
    /^\S+ kms:(DescribeKey|Encrypt|GenerateDataKey|ReEncrypt(From|To)) on key\/State if dynamodb$/,
    'DynamoDB asks for them where AWS does not say; nothing here does',
  ],
  [
    /^(deliver|fetch-documents) sqs:ChangeMessageVisibility on (Delivery|Fetch)Queue\.fifo$/,
    'Lambda gives messages back with it; the poller here lets their visibility end',
  ],
];

/** Other runs use these, or the story does at times; or they come with a grant that has several. */
const atTimes: Argued = [
  [
    /^((deliver|peer-api|sweep) sqs:SendMessage on Delivery|(fetch-documents|sweep) sqs:SendMessage on Fetch)Queue\.fifo$/,
    'a poke is sent where something is left to be done just then',
  ],
  [/^\S+ dynamodb:(DescribeTable|BatchGetItem) on table\/Ledger$/, 'come with reading the table'],
  [/^(deliver|sweep) dynamodb:UpdateItem on table\/Ledger if HEAD#$/, 'comes with writing to it'],
  [/^sweep dynamodb:PutItem on table\/Ledger$/, 'closes what was resolved and nobody looked at'],
  [/^deliver s3:ListBucket on objects$/, 'tells missing evidence: the story misses none'],
  [
    /^(audit|api|fetch-documents|deliver) s3:(Get|Put)Object on objects\/evidence\/\*$/,
    'evidence is what only some conflicts have',
  ],
  [/^audit s3:ListBucket on objects$/, 'tells a missing object: the story misses none'],
  [
    /^\S+ kms:(Decrypt|GenerateDataKey) on key\/(Work if sqs|State if s3)$/,
    'come with queues to poke, and with objects to keep',
  ],
  [/^api dynamodb:Query on table\/Ledger\/index\/lists$/, 'the story asks for no list'],
  [/^api dynamodb:UpdateItem on table\/Ledger if TRANSACTION#$/, 'the story redacts nothing'],
];

/** What a run did not use and nobody argues for; and, the other way round, what is argued in vain. */
export function unargued({ unused }: RightsReport): { grants: string[]; reasons: string[] } {
  const found = Object.entries(unused).flatMap(([name, grants]) =>
    grants.map((grant) => `${name} ${shortened(grant)}`),
  );
  const argued = [...never, ...atTimes];
  return {
    grants: found.filter((grant) => !argued.some(([grants]) => grants.test(grant))),
    reasons: never.flatMap(([grants, reason]) =>
      found.some((grant) => grants.test(grant)) ? [] : [reason],
    ),
  };
}

/** Without what CDK adds to names, and of a condition the service or the first leading key. */
function shortened(grant: string): string {
  return grant
    .replace(/ if .*kms:ViaService":"(\w+)\..*$/, ' if $1')
    .replace(/ if .*LeadingKeys":\["(\w+#).*$/, ' if $1')
    .replace(/[0-9A-F]{8}(?=\.fifo|\/|$| )/i, '');
}
