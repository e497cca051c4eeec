/**
 * AWS's JSON protocols, as far as the emulators on this machine ask for them: they read which
 * access key a request names, to keep the instances apart, and do not check its signature.
 */
export interface AwsService {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
}

/** The service said no. `code` is the name of its error without the name space. */
export class AwsError extends Error {
  override readonly name = 'AwsError';
  readonly code: string;

  constructor(operation: string, code: string, message: string) {
    super(`${operation}: ${code}: ${message}`);
    this.code = code;
  }
}

/**
 * Calls an operation, for example `DynamoDB_20120810.CreateTable`, and gives its answer.
 * Rejects with AwsError, or with whatever `fetch` rejects with when nobody answers.
 */
export async function callAws<Answer>(
  service: AwsService,
  operation: string,
  input: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const scope = `${service.accessKeyId}/20200101/${service.region}/local/aws4_request`;
  const response = await fetch(service.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': operation,
      'x-amz-date': '20200101T000000Z',
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(input),
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text === '' ? '{}' : text);
  const { __type: type = '', message, Message } = parseError(text);
  throw new AwsError(operation, type.slice(type.indexOf('#') + 1), message ?? Message ?? text);
}

function parseError(text: string): { __type?: string; message?: string; Message?: string } {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** The access key that a request names; undefined when it names none. */
export function accessKeyOf(authorization: string | undefined): string | undefined {
  return /Credential=([^/,\s]+)\//.exec(authorization ?? '')?.[1];
}
