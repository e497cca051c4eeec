/**
 * What an instance costs: the quantities that its template and the assumptions here make, times list
 * prices. Nothing was measured on an account; free tiers are not taken off.
 */

/** US dollars in eu-central-1, without tax; to be compared with AWS's price pages before they count. */
export const PRICES = {
  asOf: '2026-11',
  region: 'eu-central-1',
  lambdaRequest: 0.2e-6,
  /** A second of one gigabyte, arm64. */
  lambdaGigabyteSecond: 0.0000133334,
  apiRequest: 1.2e-6,
  tableWriteUnit: 0.7625e-6,
  tableReadUnit: 0.1525e-6,
  /** Gigabytes a month: the table, and its point-in-time recovery. */
  tableStorage: 0.306,
  tableRecovery: 0.2448,
  /** Each backup that is kept. */
  tableBackup: 0.1224,
  queueRequest: { fifo: 0.5e-6, standard: 0.4e-6 },
  event: 1e-6,
  /** An event of data that a trail writes down. */
  trailEvent: 1e-6,
  objectPut: 5.4e-6,
  objectGet: 0.43e-6,
  /** Gigabytes a month. */
  objectStorage: 0.0245,
  /** Gigabytes out to the internet, the first 100 of a month free. */
  transferOut: 0.09,
  logGigabyte: 0.63,
  /** Each a month. */
  metric: 0.3,
  alarm: 0.1,
  dashboard: 3,
  secret: 0.4,
  key: 1,
  keyRequest: 0.03e-4,
} as const;

/** One transaction: a document version, appended alone, with three other instances. */
export const ASSUMED = {
  mirrors: 3,
  /** Entries that share a delivery, its confirmation and the pokes for both. */
  entriesPerDelivery: 5,
  /** What a peer is sent of an entry and what a statement is, with their envelopes. */
  entryKilobytes: 3,
  statementKilobytes: 2,
  /** As one commit of one version writes it; a test holds this against the real write. */
  commitWriteUnits: 18,
  /** Strongly consistent, before a commit. */
  commitReadUnits: 4,
  /** A confirmation and a cursor. */
  writeUnitsPerStatement: 3,
  /** That the trail writes down: of a version its bytes and its commit, of a statement as above. */
  trailEventsPerVersion: 2,
  trailEventsPerStatement: 2,
  /** Of each invocation: head, log, cursor, state. */
  readUnitsPerInvocation: 4,
  /** Of one object that is put, and of one that is fetched and read again. */
  objectGetsPerVersion: 4,
  logKilobytesPerInvocation: 1.5,
  accessLogKilobytes: 0.4,
  /** Lambda asks an idle queue so often in a month: five pollers, 20 seconds each. */
  pollsPerQueue: 5 * 3 * 60 * 24 * 30,
  /** Signals and measures that are sent all the time: lag, usage. */
  metrics: 5,
  milliseconds: {
    api: 60,
    'peer-api': 60,
    'fan-out': 60,
    deliver: 250,
    'fetch-documents': 600,
    sweep: 300,
    audit: 5000,
    publish: 60,
  },
} as const;

export type FunctionName = keyof typeof ASSUMED.milliseconds;

/** What a template says, as far as it is paid for. */
export interface Bill {
  readonly memoryMegabytes: Readonly<Record<FunctionName, number>>;
  /** Runs a month of the functions that a schedule wakes. */
  readonly runs: Readonly<Partial<Record<FunctionName, number>>>;
  readonly queue: 'fifo' | 'standard';
  /** Queues that a function polls. */
  readonly polledQueues: number;
  readonly recovery: boolean;
  /** Whether backups are made besides. */
  readonly backups: boolean;
  /** Whether writes to table and objects are written down. */
  readonly trail: boolean;
  readonly alarms: number;
  readonly dashboards: number;
  readonly secrets: number;
  readonly keys: number;
}

export interface CostLine {
  readonly what: string;
  /** US dollars. */
  readonly cost: number;
}

type Calls = Readonly<Partial<Record<FunctionName, number>>>;

const MILLION = 1e6;
const KILOBYTES = 1024 ** 2;

/** A million transactions that this instance leads. */
export function leading(bill: Bill): CostLine[] {
  const { mirrors, entriesPerDelivery, entryKilobytes } = ASSUMED;
  const share = mirrors / entriesPerDelivery;
  const calls = {
    // An address for the bytes, and the append.
    api: 2,
    // Each mirror asks where the bytes are, and brings its confirmations.
    'peer-api': mirrors + share,
    'fan-out': 1 / entriesPerDelivery,
    deliver: share,
    publish: (1 + mirrors) / entriesPerDelivery,
  };
  return perMillion(bill, {
    calls,
    requests: calls.api + calls['peer-api'],
    statements: share,
    pokes: share,
    events: 1 + share,
    sentKilobytes: mirrors * entryKilobytes,
  });
}

/** A million transactions that this instance mirrors. */
export function mirroring(bill: Bill): CostLine[] {
  const { mirrors, entriesPerDelivery, statementKilobytes } = ASSUMED;
  // The lead's deliveries, and the confirmations of the other mirrors.
  const received = mirrors / entriesPerDelivery;
  const calls = {
    'peer-api': received,
    'fan-out': 2 / entriesPerDelivery,
    // Its own confirmation, to everybody else.
    deliver: received,
    'fetch-documents': 1 / entriesPerDelivery,
    publish: (1 + mirrors) / entriesPerDelivery,
  };
  return perMillion(bill, {
    calls,
    requests: received,
    statements: received,
    pokes: (mirrors + 1) / entriesPerDelivery,
    events: 1 + received,
    sentKilobytes: received * statementKilobytes,
  });
}

/** A month in which nothing is recorded. */
export function idle(bill: Bill): CostLine[] {
  const invocations = Object.values(bill.runs).reduce((sum, runs) => sum + runs, 0);
  const logKilobytes = invocations * ASSUMED.logKilobytesPerInvocation;
  return [
    ...functionLines(bill, bill.runs),
    {
      what: 'table: reads of sweep and audit',
      cost: invocations * ASSUMED.readUnitsPerInvocation * PRICES.tableReadUnit,
    },
    {
      what: `queues: polls of ${bill.polledQueues} idle ones`,
      cost: bill.polledQueues * ASSUMED.pollsPerQueue * PRICES.queueRequest[bill.queue],
    },
    { what: 'logs', cost: (logKilobytes / KILOBYTES) * PRICES.logGigabyte },
    { what: `metrics: ${ASSUMED.metrics}`, cost: ASSUMED.metrics * PRICES.metric },
    { what: `alarms: ${bill.alarms}`, cost: bill.alarms * PRICES.alarm },
    ...(bill.dashboards === 0
      ? []
      : [{ what: `dashboards: ${bill.dashboards}`, cost: bill.dashboards * PRICES.dashboard }]),
    { what: `secrets: ${bill.secrets}`, cost: bill.secrets * PRICES.secret },
    ...(bill.keys === 0 ? [] : [{ what: `keys: ${bill.keys}`, cost: bill.keys * PRICES.key }]),
  ];
}

/** Each gigabyte that lies there for a month, or is sent: documents mostly. */
export function gigabytes(bill: Bill): CostLine[] {
  return [
    {
      what: `table${bill.recovery ? ' with point-in-time recovery' : ''}`,
      cost: PRICES.tableStorage + (bill.recovery ? PRICES.tableRecovery : 0),
    },
    ...(bill.backups ? [{ what: 'each backup of the table', cost: PRICES.tableBackup }] : []),
    { what: 'documents stored', cost: PRICES.objectStorage },
    { what: 'documents sent to others', cost: PRICES.transferOut },
  ];
}

export function total(lines: readonly CostLine[]): number {
  return lines.reduce((sum, { cost }) => sum + cost, 0);
}

/** What one transaction makes. */
interface Work {
  readonly calls: Calls;
  readonly requests: number;
  readonly statements: number;
  readonly pokes: number;
  readonly events: number;
  readonly sentKilobytes: number;
}

function perMillion(bill: Bill, work: Work): CostLine[] {
  const invocations = Object.values(work.calls).reduce((sum, calls) => sum + calls, 0);
  const writes = ASSUMED.commitWriteUnits + work.statements * ASSUMED.writeUnitsPerStatement;
  const reads = ASSUMED.commitReadUnits + invocations * ASSUMED.readUnitsPerInvocation;
  const logKilobytes =
    invocations * ASSUMED.logKilobytesPerInvocation + work.requests * ASSUMED.accessLogKilobytes;
  const gets = ASSUMED.objectGetsPerVersion * PRICES.objectGet;
  // Sent, received and deleted.
  const queueRequests = work.pokes * 3;
  const trailEvents =
    ASSUMED.trailEventsPerVersion + work.statements * ASSUMED.trailEventsPerStatement;
  const each: CostLine[] = [
    ...functionLines(bill, work.calls),
    { what: 'gateway', cost: work.requests * PRICES.apiRequest },
    { what: 'table: writes', cost: writes * PRICES.tableWriteUnit },
    { what: 'table: reads', cost: reads * PRICES.tableReadUnit },
    { what: 'queues', cost: queueRequests * PRICES.queueRequest[bill.queue] },
    { what: 'events', cost: work.events * PRICES.event },
    { what: 'documents: requests', cost: PRICES.objectPut + gets },
    ...(bill.trail ? [{ what: 'trail of writes', cost: trailEvents * PRICES.trailEvent }] : []),
    ...(bill.keys === 0
      ? []
      : [{ what: 'keys: requests, at most', cost: queueRequests * PRICES.keyRequest }]),
    { what: 'logs', cost: (logKilobytes / KILOBYTES) * PRICES.logGigabyte },
    {
      what: 'bytes out, without documents',
      cost: (work.sentKilobytes / KILOBYTES) * PRICES.transferOut,
    },
  ];
  return each.map(({ what, cost }) => ({ what, cost: cost * MILLION }));
}

function functionLines({ memoryMegabytes }: Bill, calls: Calls): CostLine[] {
  return (Object.entries(calls) as [FunctionName, number][]).map(([name, count]) => {
    const gigabyteSeconds =
      (memoryMegabytes[name] / 1024) * (ASSUMED.milliseconds[name] / 1000) * count;
    const cost = count * PRICES.lambdaRequest + gigabyteSeconds * PRICES.lambdaGigabyteSecond;
    return { what: `function ${name}`, cost };
  });
}
