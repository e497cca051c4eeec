/** HTTP status of every error code that the local server answers with, as S3 has them. */
const statusByCode = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  EntityTooLarge: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  RequestTimeout: 400,
  SignatureDoesNotMatch: 403,
  XAmzContentSHA256Mismatch: 400,
} as const;

export type S3ErrorCode = keyof typeof statusByCode;

/** A refusal that the caller is told: one of S3's codes and a sentence. */
export class S3Error extends Error {
  readonly code: S3ErrorCode;

  constructor(code: S3ErrorCode, message: string) {
    super(message);
    this.name = 'S3Error';
    this.code = code;
  }

  get status(): number {
    return statusByCode[this.code];
  }
}

/** The XML that S3 sends with a refusal. `resource` is the path as received, without the query. */
export function errorDocument(error: S3Error, resource: string, requestId: string): string {
  const members = [
    `<Code>${error.code}</Code>`,
    `<Message>${escapeXml(error.message)}</Message>`,
    `<Resource>${escapeXml(resource)}</Resource>`,
    `<RequestId>${requestId}</RequestId>`,
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${members.join('')}</Error>`;
}

function escapeXml(text: string): string {
  return (
    text
      // XML 1.0 cannot carry control characters, not even escaped.
      .replace(/[^\t\x20-\ud7ff\ue000-\ufffd]/g, '?')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
  );
}
