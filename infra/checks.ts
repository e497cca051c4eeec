import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

/** All that is wrong, a line each, with the construct and the rule. */
export class RefusedTemplates extends Error {
  override readonly name = 'RefusedTemplates';
}

/** As far as it says what is wrong. */
interface ValidationReport {
  readonly pluginReports: readonly {
    readonly conclusion: string;
    readonly violations: readonly {
      readonly ruleName: string;
      readonly description: string;
      readonly severity?: string;
      readonly violatingConstructs: readonly { readonly constructPath?: string }[];
    }[];
  }[];
}

/**
 * What every synthesis is held against: the rules of cdk-nag, beside CloudFormation's own ones, which
 * the flag `@aws-cdk/core:validateAgainstDefaultRules` of cdk.json makes errors.
 */
export function addChecks(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}

/**
 * Throws RefusedTemplates with all that the checks found, in whichever stack of whichever stage. The command `cdk`
 * takes the judging on itself, and looks only at the stacks that it was asked for: `cdk synth` without
 * a pattern sees none of those inside of stages.
 */
export function refuseFailures(assembly: string): void {
  const file = join(assembly, 'validation-report.json');
  if (!existsSync(file)) throw new Error(`${assembly} holds no report of the checks`);
  const report: ValidationReport = JSON.parse(readFileSync(file, 'utf8'));
  const failures = report.pluginReports
    .filter(({ conclusion }) => conclusion !== 'success')
    .flatMap(({ violations }) => violations)
    .filter(({ severity }) => severity !== 'warning')
    .flatMap(({ ruleName, description, violatingConstructs }) =>
      violatingConstructs.map(
        ({ constructPath = 'a template' }) => `${constructPath}: ${ruleName}: ${description}`,
      ),
    );
  if (failures.length > 0)
    throw new RefusedTemplates(`the templates are refused:\n${failures.join('\n')}`);
}
