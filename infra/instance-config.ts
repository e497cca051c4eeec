/** One instance as its operators describe it: one JSON file each, checked before anything is built. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { auditPeriod } from '../shared/config.ts';
import { readClusterCa } from './cluster-ca.ts';
import { type Form, InstanceConfigError, InstanceFields } from './instance-fields.ts';

/** What one file of the instances folder says; docs/instance-file.md tells each key. */
export interface InstanceConfig {
  /** Short, lower case: the stage, the stacks and the metrics carry it. */
  readonly name: string;
  /** AWS account id and region; absent: those of whoever deploys. */
  readonly account?: string;
  readonly region?: string;
  /** Absent where no custom domain is built: on this machine and on emulators. */
  readonly domain?: DomainConfig;
  /** Certificates of the cluster CA in PEM, one after the other, nothing around them. */
  readonly clusterCaPem: string;
  /** Certificate ids by role. */
  readonly applications: readonly string[];
  readonly operators: readonly string[];
  readonly auditors: readonly string[];
  readonly denied: readonly string[];
  readonly admittedLeads: readonly string[] | 'any';
  readonly localEndpoints: boolean;
  /** Who hears of alarms. */
  readonly alarmEmails: readonly string[];
  readonly alarmWebhooks: readonly string[];
  /** How long a mirror may be behind before somebody is told. */
  readonly lagAlarmMinutes: number;
  /** Within so many days everything that is stored is read again and checked. */
  readonly auditPeriodDays: number;
  /** The table that a backup was restored to, in place of the stack's own. */
  readonly restoredTable?: RestoredTable;
  readonly objectLock: ObjectLockConfig;
  /** How long the logs of the functions and of the gateway are kept. */
  readonly logRetentionDays: number;
  /** How long a weekly backup of the table is kept. */
  readonly backupRetentionDays: number;
  readonly limits: LimitsConfig;
  /** Cost-allocation tags of every resource. */
  readonly tags: Readonly<Record<string, string>>;
  /** Where all this was read, for messages. */
  readonly file: string;
}

/** DynamoDB restores a backup to a table of another name, and without a stream. */
export interface RestoredTable {
  readonly arn: string;
  readonly streamArn: string;
}

export interface DomainConfig {
  readonly name: string;
  /** The instance's certificate in Certificate Manager: imported, for the cluster CA is private. */
  readonly serverCertificateArn: string;
  /** A public certificate that proves the domain: API Gateway asks for it beside an imported one. */
  readonly ownershipCertificateArn: string;
  /** Where the domain's alias record is written; absent: the operator writes it. */
  readonly hostedZone?: { readonly id: string; readonly name: string };
}

/** For how long nobody can delete what is put into the bucket, as S3 takes it. */
export interface ObjectLockConfig {
  /** Compliance mode cannot be undone by anybody, governance mode by who has that right. */
  readonly mode: ObjectLockMode;
  readonly duration: { readonly days: number } | { readonly years: number };
}

export type ObjectLockMode = 'governance' | 'compliance';

export interface LimitsConfig {
  /** What the gateway lets through; beyond it callers get 429. */
  readonly requestsPerSecond: number;
  readonly requestsBurst: number;
  /** Invocations kept for each of the two functions that answer; absent: what the account has. */
  readonly apiConcurrency?: number;
  /** Invocations at once of what brings entries to peers, and of what fetches documents. */
  readonly deliverConcurrency: number;
  readonly fetchConcurrency: number;
}

/** All keys that a file may have. */
export const instanceKeys = [
  'name',
  'account',
  'region',
  'domainName',
  'hostedZoneId',
  'hostedZoneName',
  'serverCertificateArn',
  'ownershipCertificateArn',
  'clusterCa',
  'applications',
  'operators',
  'auditors',
  'denied',
  'admittedLeads',
  'localEndpoints',
  'alarmEmails',
  'alarmWebhooks',
  'lagAlarmMinutes',
  'auditPeriodDays',
  'restoredTableArn',
  'restoredTableStreamArn',
  'objectLockMode',
  'objectLockDays',
  'objectLockYears',
  'logRetentionDays',
  'backupRetentionDays',
  'requestsPerSecond',
  'requestsBurst',
  'apiConcurrency',
  'deliverConcurrency',
  'fetchConcurrency',
  'tags',
] as const;

type Key = (typeof instanceKeys)[number];
type Fields = InstanceFields<Key>;

const FORMS = {
  name: [/^[a-z][a-z0-9-]{0,29}$/, 'up to 30 lower-case letters, digits and hyphens'],
  account: [/^\d{12}$/, 'the 12 digits of an AWS account id'],
  region: [/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region such as eu-central-1'],
  domainName: [/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, 'a domain name in lower case'],
  hostedZoneId: [/^Z[A-Z0-9]+$/, 'the id of a Route 53 hosted zone'],
  hostedZoneName: [/^([a-z0-9-]+\.)+[a-z]{2,}$/, 'the domain name of that hosted zone'],
  certificateArn: [
    /^arn:aws(-[a-z]+)*:acm:[a-z0-9-]+:\d{12}:certificate\/[\w-]+$/,
    'the ARN of a certificate in Certificate Manager',
  ],
  email: [/^[^\s@,;<>]+@([a-z0-9-]+\.)+[a-z]{2,}$/i, 'e-mail addresses'],
  webhook: [/^https:\/\/[^\s/@]+(\/\S*)?$/, 'https addresses without a user name'],
  tableArn: [
    /^arn:aws(-[a-z]+)*:dynamodb:[a-z0-9-]+:\d{12}:table\/[\w.-]+$/,
    'the ARN of the restored table',
  ],
  streamArn: [
    /^arn:aws(-[a-z]+)*:dynamodb:[a-z0-9-]+:\d{12}:table\/[\w.-]+\/stream\/[\w.:-]+$/,
    "the ARN of the restored table's stream, its LatestStreamArn",
  ],
} as const;

/** A peer that failed is tried again within five minutes; a week without finality is too long. */
const LAG_ALARM_MINUTES = { least: 5, most: 10_080, unlessGiven: 60 } as const;

/** S3 itself takes no more than a hundred years. */
const OBJECT_LOCK_DAYS = { least: 1, most: 36_500 } as const;
/** Ten years: as long as the records of a building are commonly kept. */
const OBJECT_LOCK_YEARS = { least: 1, most: 100, unlessGiven: 10 } as const;

/** What CloudWatch takes. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288,
  3653,
] as const;

/** Two weekly backups at least: one must be there while the next is being made. */
const BACKUP_RETENTION_DAYS = { least: 14, most: 36_500, unlessGiven: 98 } as const;

/** At most what an account of its own has in a region, unless it was raised. */
const REQUESTS_PER_SECOND = { least: 1, most: 10_000, unlessGiven: 500 } as const;
const REQUESTS_BURST = { least: 1, most: 5_000, unlessGiven: 1_000 } as const;
const API_CONCURRENCY = { least: 1, most: 1_000 } as const;

/** So that the deliveries of many registries cannot use up the account and starve the API. */
const DELIVER_CONCURRENCY = { least: 2, most: 1_000, unlessGiven: 50 } as const;
const FETCH_CONCURRENCY = { least: 2, most: 1_000, unlessGiven: 10 } as const;

/** Of the 50 tags that a resource may have, this project and CloudFormation need a few. */
const TAGS_MAX = 40;
const TAG_NAME = /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu;
const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u;

/**
 * Reads every `*.json` of a folder, in the order of their names.
 *
 * Throws InstanceConfigError for a folder without such files, for two files with one name, and for
 * whatever `readInstance` refuses.
 */
export function readInstances(directory: string): InstanceConfig[] {
  const files = listJson(directory);
  if (files.length === 0)
    throw new InstanceConfigError(
      `${directory} holds no *.json file: write one file for each instance there`,
    );
  const instances = files.map((file) => readInstance(join(directory, file)));
  const seen = new Map<string, string>();
  for (const { name, file } of instances) {
    const other = seen.get(name);
    if (other !== undefined)
      throw new InstanceConfigError(
        `${file}: name "${name}" is taken by ${other}: give each instance a name of its own`,
      );
    seen.set(name, file);
  }
  return instances;
}

function listJson(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((file) => file.endsWith('.json'))
      .sort();
  } catch {
    throw new InstanceConfigError(
      `${directory} is no folder that can be read: name the folder of the instances' files ` +
        'with --context instances=<folder>',
    );
  }
}

/** Reads and checks one file. Throws InstanceConfigError, a sentence that names key and file. */
export function readInstance(file: string): InstanceConfig {
  const fields: Fields = new InstanceFields(file, instanceKeys);
  const account = fields.optionalText('account', FORMS.account);
  const region = fields.optionalText('region', FORMS.region);
  const domain = readDomain(fields);
  const restoredTable = readRestoredTable(fields);
  const localEndpoints = fields.flag('localEndpoints');
  return {
    file,
    name: fields.text('name', FORMS.name),
    ...(account === undefined ? {} : { account }),
    ...(region === undefined ? {} : { region }),
    ...(domain === undefined ? {} : { domain }),
    clusterCaPem: readClusterCa(fields.raw('clusterCa'), file),
    applications: fields.ids('applications'),
    operators: fields.ids('operators'),
    auditors: fields.ids('auditors'),
    denied: fields.ids('denied'),
    admittedLeads: readAdmittedLeads(fields),
    localEndpoints,
    ...readAlarmAddresses(fields, localEndpoints),
    lagAlarmMinutes: fields.number('lagAlarmMinutes', LAG_ALARM_MINUTES),
    auditPeriodDays: fields.number('auditPeriodDays', auditPeriod),
    objectLock: readObjectLock(fields),
    logRetentionDays: fields.choice('logRetentionDays', LOG_RETENTION_DAYS, 180),
    backupRetentionDays: fields.number('backupRetentionDays', BACKUP_RETENTION_DAYS),
    limits: readLimits(fields),
    tags: readTags(fields),
    ...(restoredTable === undefined ? {} : { restoredTable }),
  };
}

function readDomain(fields: Fields): DomainConfig | undefined {
  const ofDomain = [
    'domainName',
    'serverCertificateArn',
    'ownershipCertificateArn',
    'hostedZoneId',
    'hostedZoneName',
  ] as const;
  if (!ofDomain.some((key) => fields.has(key))) return undefined;
  const domain = {
    name: fields.text('domainName', FORMS.domainName),
    serverCertificateArn: arnHere(fields, 'serverCertificateArn', FORMS.certificateArn),
    ownershipCertificateArn: arnHere(fields, 'ownershipCertificateArn', FORMS.certificateArn),
  };
  if (!fields.has('hostedZoneId') && !fields.has('hostedZoneName')) return domain;
  const hostedZone = {
    id: fields.text('hostedZoneId', FORMS.hostedZoneId),
    name: fields.text('hostedZoneName', FORMS.hostedZoneName),
  };
  if (domain.name !== hostedZone.name && !domain.name.endsWith(`.${hostedZone.name}`))
    throw fields.mistake(
      `domainName is ${domain.name}, which is not in hostedZoneName, ${hostedZone.name}: ` +
        'give the zone that the domain is in',
    );
  return { ...domain, hostedZone };
}

/** Of a resource in the instance's own region and account, as far as the file says them. */
function arnHere(fields: Fields, key: Key, form: Form): string {
  const arn = fields.text(key, form);
  const [, , , region, account] = arn.split(':');
  for (const [place, found] of [
    ['region', region],
    ['account', account],
  ] as const) {
    const own = fields.optionalText(place, FORMS[place]);
    if (own !== undefined && own !== found)
      throw fields.mistake(`${key} is of the ${place} ${found}, but the file's is ${own}`);
  }
  return arn;
}

function readRestoredTable(fields: Fields): RestoredTable | undefined {
  if (!fields.has('restoredTableArn') && !fields.has('restoredTableStreamArn')) return undefined;
  const arn = arnHere(fields, 'restoredTableArn', FORMS.tableArn);
  const streamArn = fields.text('restoredTableStreamArn', FORMS.streamArn);
  if (streamArn.startsWith(`${arn}/`)) return { arn, streamArn };
  throw fields.mistake('restoredTableStreamArn is that of another table than restoredTableArn');
}

function readAdmittedLeads(fields: Fields): string[] | 'any' {
  if (fields.raw('admittedLeads') === 'any') return 'any';
  return fields.ids('admittedLeads', ', or "any"');
}

function readAlarmAddresses(fields: Fields, localEndpoints: boolean) {
  const alarmEmails = fields.texts('alarmEmails', FORMS.email);
  const alarmWebhooks = fields.texts('alarmWebhooks', FORMS.webhook);
  // An instance of which nobody hears is found broken by its users.
  if (alarmEmails.length + alarmWebhooks.length === 0 && !localEndpoints)
    throw fields.mistake(
      'alarmEmails is missing: give a list of e-mail addresses that hear of alarms, or ' +
        'alarmWebhooks, a list of https addresses',
    );
  return { alarmEmails, alarmWebhooks };
}

function readObjectLock(fields: Fields): ObjectLockConfig {
  const mode = fields.choice('objectLockMode', ['governance', 'compliance'], 'governance');
  const days = fields.optionalNumber('objectLockDays', OBJECT_LOCK_DAYS);
  const years = fields.number('objectLockYears', OBJECT_LOCK_YEARS);
  if (days === undefined) return { mode, duration: { years } };
  if (fields.has('objectLockYears'))
    throw fields.mistake('objectLockDays is given beside objectLockYears: give one of the two');
  return { mode, duration: { days } };
}

function readLimits(fields: Fields): LimitsConfig {
  const apiConcurrency = fields.optionalNumber('apiConcurrency', API_CONCURRENCY);
  return {
    requestsPerSecond: fields.number('requestsPerSecond', REQUESTS_PER_SECOND),
    requestsBurst: fields.number('requestsBurst', REQUESTS_BURST),
    ...(apiConcurrency === undefined ? {} : { apiConcurrency }),
    deliverConcurrency: fields.number('deliverConcurrency', DELIVER_CONCURRENCY),
    fetchConcurrency: fields.number('fetchConcurrency', FETCH_CONCURRENCY),
  };
}

function readTags(fields: Fields): Record<string, string> {
  const value = fields.raw('tags') ?? {};
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fields.mistake('tags is no object: give {"<name>": "<value>", …}');
  const given = Object.entries(value);
  if (given.length > TAGS_MAX)
    throw fields.mistake(`tags has ${given.length} members: give at most ${TAGS_MAX}`);
  for (const [name, text] of given)
    if (!TAG_NAME.test(name) || typeof text !== 'string' || !TAG_VALUE.test(text))
      throw fields.mistake(
        `tags has ${JSON.stringify({ [name]: text })}: give names of up to 128 and texts of up to ` +
          '256 letters, digits, spaces and _ . : / = + - @, no name that begins with aws:',
      );
  return Object.fromEntries(given);
}
