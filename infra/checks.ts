import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

/**
 * What every synthesis is held against: the rules of cdk-nag, beside CloudFormation's own ones, which
 * the flag `@aws-cdk/core:validateAgainstDefaultRules` of cdk.json makes errors. The app has to be
 * synthesised as a whole, which fails then: `cdk synth` alone looks at no stack inside of a stage.
 */
export function addChecks(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}
