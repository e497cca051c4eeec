/** One instance as its operators describe it: one JSON file each, checked before anything is built. */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { auditPeriod } from '../shared/config.ts';

/** What one file of the instances folder says. */
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
  /** How long a mirror may be behind before somebody is told. */
  readonly lagAlarmMinutes: number;
  /** Within so many days everything that is stored is read again and checked. */
  readonly auditPeriodDays: number;
  /** The table that a backup was restored to, in place of the stack's own. */
  readonly restoredTable?: RestoredTable;
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

/** A sentence that names the key and the file: for the person who wrote the file. */
export class InstanceConfigError extends Error {
  override readonly name = 'InstanceConfigError';
}

const KEYS = [
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
  'lagAlarmMinutes',
  'auditPeriodDays',
  'restoredTableArn',
  'restoredTableStreamArn',
] as const;

type Key = (typeof KEYS)[number];
type Fields = Readonly<Record<string, unknown>>;

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

const FORMS = {
  name: [/^[a-z][a-z0-9-]{0,29}$/, 'up to 30 lower-case letters, digits and hyphens'],
  account: [/^\d{12}$/, 'the 12 digits of an AWS account id'],
  region: [/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region such as eu-central-1'],
  domainName: [/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, 'a domain name in lower case'],
  hostedZoneId: [/^Z[A-Z0-9]+$/, 'the id of a Route 53 hosted zone'],
  hostedZoneName: [/^([a-z0-9-]+\.)+[a-z]{2,}$/, 'the domain name of that hosted zone'],
  serverCertificateArn: [/^arn:[a-z-]+:acm:/, 'the ARN of a certificate in Certificate Manager'],
  ownershipCertificateArn: [/^arn:[a-z-]+:acm:/, 'the ARN of a certificate in Certificate Manager'],
  restoredTableArn: [
    /^arn:[a-z-]+:dynamodb:[a-z0-9-]+:\d{12}:table\/[\w.-]+$/,
    'the ARN of the restored table',
  ],
  restoredTableStreamArn: [
    /^arn:[a-z-]+:dynamodb:[a-z0-9-]+:\d{12}:table\/[\w.-]+\/stream\/[\w.:-]+$/,
    "the ARN of the restored table's stream, its LatestStreamArn",
  ],
} as const satisfies Partial<Record<Key, readonly [RegExp, string]>>;

/** A peer that failed is tried again within five minutes; a week without finality is too long. */
const LAG_ALARM_MINUTES = { least: 5, most: 10_080, unlessGiven: 60 } as const;

const CERTIFICATE_ID = [/^[0-9a-f]{64}$/, 'certificate ids of 64 lower-case hex digits'] as const;

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
  const fields = parseFields(file);
  const account = optional(fields, 'account', file);
  const region = optional(fields, 'region', file);
  const domain = readDomain(fields, file);
  const restoredTable = readRestoredTable(fields, file);
  return {
    file,
    name: required(fields, 'name', file),
    ...(account === undefined ? {} : { account }),
    ...(region === undefined ? {} : { region }),
    ...(domain === undefined ? {} : { domain }),
    clusterCaPem: readClusterCa(fields, file),
    applications: ids(fields, 'applications', file),
    operators: ids(fields, 'operators', file),
    auditors: ids(fields, 'auditors', file),
    denied: ids(fields, 'denied', file),
    admittedLeads: fields['admittedLeads'] === 'any' ? 'any' : ids(fields, 'admittedLeads', file),
    localEndpoints: flag(fields, 'localEndpoints', file),
    lagAlarmMinutes: wholeNumber(fields, 'lagAlarmMinutes', LAG_ALARM_MINUTES, file),
    auditPeriodDays: wholeNumber(fields, 'auditPeriodDays', auditPeriod, file),
    ...(restoredTable === undefined ? {} : { restoredTable }),
  };
}

function parseFields(file: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InstanceConfigError(`${file} is not readable as JSON: ${reason}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InstanceConfigError(`${file} is no JSON object: write {"name": …, …}`);
  const unknown = Object.keys(value).find((key) => !KEYS.some((known) => known === key));
  if (unknown !== undefined)
    throw new InstanceConfigError(
      `${file}: "${unknown}" is no key of an instance: use only ${KEYS.join(', ')}`,
    );
  return { ...value };
}

function optional(fields: Fields, key: keyof typeof FORMS, file: string): string | undefined {
  const value = fields[key];
  if (value === undefined) return undefined;
  const [form, expected] = FORMS[key];
  if (typeof value !== 'string' || !form.test(value))
    throw new InstanceConfigError(`${file}: ${key} is ${JSON.stringify(value)}: give ${expected}`);
  return value;
}

function required(fields: Fields, key: keyof typeof FORMS, file: string): string {
  const value = optional(fields, key, file);
  if (value === undefined)
    throw new InstanceConfigError(`${file}: ${key} is missing: give ${FORMS[key][1]}`);
  return value;
}

function readDomain(fields: Fields, file: string): DomainConfig | undefined {
  const ofDomain = [
    'domainName',
    'serverCertificateArn',
    'ownershipCertificateArn',
    'hostedZoneId',
    'hostedZoneName',
  ];
  if (ofDomain.every((key) => fields[key] === undefined)) return undefined;
  const domain = {
    name: required(fields, 'domainName', file),
    serverCertificateArn: required(fields, 'serverCertificateArn', file),
    ownershipCertificateArn: required(fields, 'ownershipCertificateArn', file),
  };
  if (fields['hostedZoneId'] === undefined && fields['hostedZoneName'] === undefined) return domain;
  const hostedZone = {
    id: required(fields, 'hostedZoneId', file),
    name: required(fields, 'hostedZoneName', file),
  };
  return { ...domain, hostedZone };
}

function readRestoredTable(fields: Fields, file: string): RestoredTable | undefined {
  const keys = ['restoredTableArn', 'restoredTableStreamArn'];
  if (keys.every((key) => fields[key] === undefined)) return undefined;
  const arn = required(fields, 'restoredTableArn', file);
  const streamArn = required(fields, 'restoredTableStreamArn', file);
  if (streamArn.startsWith(`${arn}/`)) return { arn, streamArn };
  throw new InstanceConfigError(
    `${file}: restoredTableStreamArn is that of another table than restoredTableArn`,
  );
}

function ids(fields: Fields, key: Key, file: string): string[] {
  const [form, expected] = CERTIFICATE_ID;
  const value = fields[key];
  const choice = key === 'admittedLeads' ? ', or "any"' : '';
  if (value === undefined)
    throw new InstanceConfigError(
      `${file}: ${key} is missing: give a list of ${expected}, [] for nobody${choice}`,
    );
  if (!Array.isArray(value))
    throw new InstanceConfigError(`${file}: ${key} is no list: give ${expected}${choice}`);
  return value.map((id: unknown) => {
    if (typeof id === 'string' && form.test(id)) return id;
    throw new InstanceConfigError(`${file}: ${key} has ${JSON.stringify(id)}: give ${expected}`);
  });
}

function flag(fields: Fields, key: Key, file: string): boolean {
  const value = fields[key] ?? false;
  if (typeof value === 'boolean') return value;
  throw new InstanceConfigError(`${file}: ${key} is ${JSON.stringify(value)}: give true or false`);
}

interface Bounds {
  readonly least: number;
  readonly most: number;
  readonly unlessGiven: number;
}

function wholeNumber(
  fields: Fields,
  key: Key,
  { least, most, unlessGiven }: Bounds,
  file: string,
): number {
  const value = fields[key] ?? unlessGiven;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
    return value;
  throw new InstanceConfigError(
    `${file}: ${key} is ${JSON.stringify(value)}: give a whole number from ${least} to ${most}`,
  );
}

function readClusterCa(fields: Fields, file: string): string {
  const value = fields['clusterCa'];
  if (typeof value !== 'string' || value === '')
    throw new InstanceConfigError(
      `${file}: clusterCa is missing: give the cluster CA's certificate in PEM, ` +
        'or the path of its file from here',
    );
  const pem = value.includes('-----BEGIN') ? value : readPem(value, file);
  const blocks = [...pem.matchAll(PEM_BLOCK)];
  // This text goes into templates and logs of deployments: a key must not come along.
  if (pem.includes('PRIVATE KEY-----'))
    throw new InstanceConfigError(
      `${file}: clusterCa holds a private key: give the certificate alone and keep the key apart`,
    );
  if (blocks.length === 0)
    throw new InstanceConfigError(`${file}: clusterCa holds no certificate in PEM`);
  for (const [block] of blocks) checkAuthority(block, file);
  return `${blocks.map(([block]) => block).join('\n')}\n`;
}

function readPem(path: string, file: string): string {
  const full = resolve(dirname(file), path);
  try {
    return readFileSync(full, 'utf8');
  } catch {
    throw new InstanceConfigError(`${file}: clusterCa names ${full}, which cannot be read`);
  }
}

function checkAuthority(block: string, file: string): void {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(block);
  } catch {
    throw new InstanceConfigError(`${file}: clusterCa holds a block that is no X.509 certificate`);
  }
  if (!certificate.ca)
    throw new InstanceConfigError(
      `${file}: clusterCa holds the certificate of ${certificate.subject.replaceAll('\n', ', ')}, ` +
        'which is no CA: give the certificate that issued it',
    );
}
