/** What the expressions of a DynamoDB request name, as far as rights depend on it. */

type Members = Readonly<Record<string, unknown>>;

const EXPRESSIONS = [
  'ConditionExpression',
  'FilterExpression',
  'KeyConditionExpression',
  'ProjectionExpression',
  'UpdateExpression',
];

const KEYWORDS = new Set(['ADD', 'AND', 'BETWEEN', 'DELETE', 'IN', 'NOT', 'OR', 'REMOVE', 'SET']);

/** The top-level attributes that the expressions name. */
export function attributesNamed(input: Members): string[] {
  return EXPRESSIONS.flatMap((name) => {
    const expression = input[name];
    if (typeof expression !== 'string') return [];
    const bare = expression
      // Values, and what lies inside of a document: neither is a top-level attribute.
      .replaceAll(/:\w+|\.#?\w+|\[\d+\]/g, '')
      .matchAll(/#?[A-Za-z_]\w*(?!\w*\s*\()/g);
    return [...bare].flatMap(([token]) =>
      KEYWORDS.has(token.toUpperCase()) ? [] : [nameOf(input, token)],
    );
  });
}

/** The value that a query wants the partition key to have; undefined when it names none. */
export function partitionWanted(input: Members, partition: string): string | undefined {
  const expression = String(input['KeyConditionExpression'] ?? '');
  for (const [, left, value, valueLeft, right] of expression.matchAll(
    /(#?\w+)\s*=\s*(:\w+)|(:\w+)\s*=\s*(#?\w+)/g,
  ))
    if (nameOf(input, left ?? right ?? '') === partition)
      return valueText(Object(input['ExpressionAttributeValues'])[value ?? valueLeft ?? '']);
  return undefined;
}

/** Of `{"S": "…"}` or another type that a key may have. */
export function valueText(value: unknown): string | undefined {
  const { S, N, B }: Members = { ...Object(value) };
  const text = S ?? N ?? B;
  return text === undefined ? undefined : String(text);
}

function nameOf(input: Members, token: string): string {
  if (!token.startsWith('#')) return token;
  return String(Object(input['ExpressionAttributeNames'])[token] ?? token);
}
