/** Names of actions and resources as policies write them, with `*` and `?`. */

export interface Pattern {
  /** As the policy has it. */
  readonly text: string;
  readonly matches: (value: string) => boolean;
}

/** `service:Operation`; capitals make no difference. */
export function actionPattern(text: string): Pattern {
  return fromExpression(text, wildcards(text, '.'), 'i');
}

/**
 * An ARN. A wildcard stays within its part between two colons, except in the last part, which is
 * the name of the resource and may hold colons itself.
 */
export function resourcePattern(text: string): Pattern {
  if (text === '*') return { text, matches: () => true };
  const parts = text.split(':');
  if (parts.length < 6) throw new Error(`"${text}" is no ARN`);
  const name = parts.slice(5).join(':');
  const fixed = parts.slice(0, 5).map((part) => wildcards(part, '[^:]'));
  return fromExpression(text, [...fixed, wildcards(name, '.')].join(':'), '');
}

/** What StringLike compares with. */
export function textPattern(text: string): Pattern {
  return fromExpression(text, wildcards(text, '.'), '');
}

/** NotAction and NotResource: whatever none of these matches. */
export function noneOf(patterns: readonly Pattern[]): Pattern {
  return {
    text: `all but ${patterns.map(({ text }) => text).join(', ')}`,
    matches: (value) => patterns.every((pattern) => !pattern.matches(value)),
  };
}

function fromExpression(text: string, expression: string, flags: string): Pattern {
  if (/\$\{/.test(text)) throw new Error(`"${text}" holds a policy variable`);
  const compiled = new RegExp(`^${expression}$`, `s${flags}`);
  return { text, matches: (value) => compiled.test(value) };
}

function wildcards(text: string, any: string): string {
  return text
    .replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', `${any}*`)
    .replaceAll('?', any);
}
