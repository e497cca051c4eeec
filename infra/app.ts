/** The program that `cdk` runs: all instances of the instances folder as templates. */
import { App } from 'aws-cdk-lib';
import { addChecks } from './checks.ts';
import { InstanceConfigError } from './instance-fields.ts';
import { addInstances } from './stacks/instance-stage.ts';

const app = new App();
try {
  addChecks(app);
  addInstances(app);
  app.synth();
} catch (error) {
  // A mistake in a file is told in one sentence; anything else keeps its stack trace.
  if (!(error instanceof InstanceConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
