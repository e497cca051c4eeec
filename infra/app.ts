/** The program that `cdk` runs: all instances of the instances folder as templates. */
import { App } from 'aws-cdk-lib';
import { addChecks, RefusedTemplates, refuseFailures } from './checks.ts';
import { InstanceConfigError } from './instance-fields.ts';
import { addInstances } from './stacks/instance-stage.ts';

const app = new App();
try {
  addChecks(app);
  addInstances(app);
  refuseFailures(app.synth().directory);
} catch (error) {
  // What a person can put right is told in sentences; anything else keeps its stack trace.
  if (!(error instanceof InstanceConfigError || error instanceof RefusedTemplates)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
