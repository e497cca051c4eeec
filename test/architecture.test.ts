import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

/** Who may import whom, and why nobody else. What is absent from a list may not be imported. */
interface Boundary {
  readonly folder: string;
  readonly allowed: readonly string[];
  readonly reason: string;
  /** Folders inside with a list of their own. */
  readonly except?: readonly string[];
}

const boundaries: readonly Boundary[] = [
  {
    folder: 'shared/ledger',
    allowed: ['shared/ledger/', 'node:crypto', 'canonicalize', 'zod'],
    reason: 'the rules are pure: no I/O, no clock, no AWS, so that anybody can re-verify a ledger',
  },
  {
    folder: 'shared/registry',
    allowed: ['shared/registry/', 'shared/ledger/', 'zod'],
    reason: 'what an instance does reaches the world only through its ports',
  },
  {
    folder: 'shared/adapters',
    allowed: [
      'shared/adapters/',
      'shared/registry/',
      'shared/ledger/',
      'shared/config.ts',
      '@aws-sdk/',
      'node:',
      'zod',
    ],
    reason: 'adapters implement the ports and know nothing of the programs that use them',
  },
  {
    folder: 'shared/http',
    allowed: [
      'shared/http/',
      'shared/registry/',
      'shared/ledger/',
      'shared/config.ts',
      '@middy/',
      'aws-lambda',
      'zod',
    ],
    reason: 'HTTP knows callers, routes and errors, and nothing of storage',
  },
  {
    folder: 'shared/client',
    allowed: ['shared/client/', 'shared/ledger/', 'node:', 'zod'],
    reason:
      'a client believes no instance: it knows the rules, and nothing of how instances work inside',
  },
  {
    folder: 'functions',
    allowed: ['functions/', 'shared/', '@middy/', '@aws-sdk/', 'aws-lambda', 'node:', 'zod'],
    reason: 'a function parses, calls one verb of the registry, and answers',
  },
  {
    folder: 'infra',
    except: ['infra/local'],
    allowed: ['infra/', 'shared/config.ts', 'aws-cdk-lib', 'cdk-nag', 'constructs', 'node:', 'zod'],
    reason: 'infra names functions by path and takes only names from shared/config.ts',
  },
  {
    folder: 'infra/local',
    except: ['infra/local/drill'],
    allowed: [
      'infra/',
      'cli/',
      'shared/client/',
      'shared/config.ts',
      'fauxqs',
      'aws-lambda',
      'node:',
      'zod',
    ],
    reason:
      'the local runner runs the template; its story calls instances from outside, as a client does',
  },
  {
    folder: 'infra/local/drill',
    allowed: [
      'infra/local/',
      'cli/',
      'shared/client/',
      'shared/ledger/',
      'shared/registry/',
      'shared/adapters/',
      '@aws-sdk/',
      'node:',
    ],
    reason:
      'a drill does what thieves, broken disks and dishonest leads do: it writes tables and buckets ' +
      "past the software, and signs with a lead's key",
  },
  {
    folder: 'cli',
    allowed: [
      'cli/',
      'shared/client/',
      'shared/ledger/',
      'shared/registry/',
      'shared/adapters/',
      '@aws-sdk/',
      '@peculiar/x509',
      'reflect-metadata',
      'node:',
      'zod',
    ],
    reason: 'the command line uses the library, never a function or the infrastructure',
  },
];

/** Statements at the beginning of a line, over several lines, and imports at run time. */
const IMPORT = /^(?:import|export)(?:[\s\w{},*$]*\bfrom)?\s*'([^']+)';|\bimport\('([^']+)'\)/gm;

function sourcesOf({ folder, except = [] }: Boundary): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter(
      (path) => path.endsWith('.ts') && !except.some((inner) => path.startsWith(`${inner}/`)),
    );
}

function importsOf(path: string): string[] {
  return [...readFileSync(path, 'utf8').matchAll(IMPORT)].map(([, written, atRunTime]) => {
    const specifier = written ?? atRunTime ?? '';
    return specifier.startsWith('.') ? relative('.', join(dirname(path), specifier)) : specifier;
  });
}

function isAllowed(target: string, allowed: readonly string[]): boolean {
  return allowed.some(
    (prefix) =>
      target === prefix ||
      (/[/:]$/.test(prefix) ? target.startsWith(prefix) : target.startsWith(`${prefix}/`)),
  );
}

function straysOf(boundary: Boundary): string[] {
  return sourcesOf(boundary).flatMap((path) =>
    importsOf(path)
      .filter((target) => !isAllowed(target, boundary.allowed))
      .map((target) => `${path} imports ${target}: ${boundary.reason}`),
  );
}

test.each(boundaries)('$folder imports only what its boundary allows', (boundary) => {
  expect(sourcesOf(boundary).length).toBeGreaterThan(0);
  expect(straysOf(boundary)).toEqual([]);
});

test('an import over a boundary is found', () => {
  expect(isAllowed('shared/adapters/system.ts', boundaries[0]?.allowed ?? [])).toBe(false);
  expect(isAllowed('zod', boundaries[0]?.allowed ?? [])).toBe(true);
  expect(isAllowed('zod-evil', boundaries[0]?.allowed ?? [])).toBe(false);
});

test('the rules and the verbs have no clock, no randomness and no timers of their own', () => {
  const forbidden =
    /\bDate\.now\(|\bnew Date\(\)|Math\.random|randomUUID|setTimeout|setInterval|crypto\.subtle/;
  const found = boundaries
    .slice(0, 2)
    .flatMap(sourcesOf)
    .filter((path) => forbidden.test(readFileSync(path, 'utf8')));

  expect(found).toEqual([]);
});

test('where AWS is, and who asks, is said by its own variables alone', () => {
  const sources = boundaries
    // A client is told where instances are; the local runner is the emulator.
    .filter(({ folder }) => !/^(shared\/client|infra\/local)/.test(folder))
    .flatMap(sourcesOf)
    .map((path) => [path, readFileSync(path, 'utf8')] as const);
  const made = sources.flatMap(([path, text]) =>
    [...text.matchAll(/new (?:DynamoDB|S3|SQS|EventBridge|SecretsManager)Client\(([^)]*)\)/g)].map(
      ([, options]) => [path, options],
    ),
  );
  const named = sources.filter(([, text]) =>
    /https?:\/\/[^'"`\s]*(amazonaws|localhost|127\.0\.0\.1)|AWS_ENDPOINT|AWS_[A-Z_]*KEY/.test(text),
  );

  expect(made.length).toBeGreaterThan(7);
  // A logger is no place.
  expect(made.filter(([, options]) => !/^\{( logger: \w+ )?\}$/.test(options ?? ''))).toEqual([]);
  expect(named.map(([path]) => path)).toEqual([]);
});

test('a file holds at most 400 lines, so that it holds one thing', () => {
  const long = boundaries
    .flatMap(sourcesOf)
    .filter((path) => readFileSync(path, 'utf8').split('\n').length > 401);

  expect(long).toEqual([]);
});
