import { join } from 'node:path';
import { LogLevel, type NodejsFunctionProps, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';

const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Where the SDK looks for credentials besides the environment, which is where Lambda puts them:
 * profiles, single sign-on, other programs, web identities, metadata of containers and machines. It
 * imports each only when the environment holds none. Programs that run from source have them all.
 */
const OTHER_CREDENTIALS = [
  '@aws-sdk/credential-provider-http',
  '@aws-sdk/credential-provider-ini',
  '@aws-sdk/credential-provider-process',
  '@aws-sdk/credential-provider-sso',
  '@aws-sdk/credential-provider-web-identity',
  '@smithy/credential-provider-imds',
];

/** How a function's source, such as `functions/api.lambda.ts`, becomes the one file that Lambda runs. */
export function bundled(entry: string): NodejsFunctionProps {
  return {
    entry: join(ROOT, entry),
    handler: 'handler',
    projectRoot: ROOT,
    depsLockFilePath: join(ROOT, 'package-lock.json'),
    bundling: {
      format: OutputFormat.ESM,
      target: 'node24',
      mainFields: ['module', 'main'],
      minify: true,
      // So that errors, stack traces and what asks for a constructor's name say what the source does.
      keepNames: true,
      // The SDK that was tested is the one that runs; Lambda's own changes without notice.
      bundleAwsSDK: true,
      externalModules: OTHER_CREDENTIALS,
      // Packages that are still CommonJS ask for `require`, which an ES module has not.
      banner:
        "import { createRequire as __createRequire } from 'node:module';" +
        'const require = __createRequire(import.meta.url);',
      logLevel: LogLevel.WARNING,
    },
  };
}
