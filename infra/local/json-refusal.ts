/** What the caller did wrong. `code` is the name of the service's own error. */
export class JsonRefusal extends Error {
  override readonly name = 'JsonRefusal';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
