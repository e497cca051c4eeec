/** An application's connection to its instance: mutual TLS, JSON, problems as errors. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { dirname, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import * as z from 'zod';
import { encodeCanonical } from '../shared/ledger/canonical.ts';
import { CommandMistake, codeOf, readText } from './command.ts';

/** Where an instance is and who calls it; all PEM. */
export interface Profile {
  /** Origin, for example `https://localhost:8441`. */
  readonly endpoint: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly caPem: string;
}

const profileSchema = z.object({
  endpoint: z.url({ protocol: /^https$/ }),
  certificate: z.string(),
  key: z.string(),
  ca: z.string(),
});

/**
 * Reads a profile: `{"endpoint": …, "certificate": …, "key": …, "ca": …}`, the last three naming
 * PEM files relative to it.
 */
export async function readProfile(file: string): Promise<Profile> {
  const parsed = profileSchema.safeParse(jsonOf(await readText(file)));
  if (!parsed.success)
    throw new CommandMistake(
      `${file} is no profile: expected JSON with endpoint (https), certificate, key and ca (files)`,
    );
  const { endpoint, certificate, key, ca } = parsed.data;
  const read = (name: string) => readText(resolve(dirname(file), name));
  return {
    endpoint,
    certificatePem: await read(certificate),
    keyPem: await read(key),
    caPem: await read(ca),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the instance refused, as it said it. */
export class RegistryProblem extends CommandMistake {
  readonly status: number;
  readonly code: string;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, members: Readonly<Record<string, unknown>>) {
    const code = String(members['code'] ?? `HTTP_${status}`);
    super(`${code}: ${String(members['detail'] ?? members['message'] ?? 'no detail')}`);
    this.status = status;
    this.code = code;
    this.members = members;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

const TIMEOUT_MS = 30_000;

/** One application at one instance. Keeps its connections until `close`. */
export class RegistryClient {
  readonly #profile: Profile;
  readonly #agent: Agent;

  constructor(profile: Profile) {
    this.#profile = profile;
    this.#agent = new Agent({
      keepAlive: true,
      cert: profile.certificatePem,
      key: profile.keyPem,
      ca: profile.caPem,
      minVersion: 'TLSv1.2',
    });
  }

  get endpoint(): string {
    return this.#profile.endpoint;
  }

  /** Sends the value as canonical JSON. Rejects with `RegistryProblem` for any status from 400 on. */
  async call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
    const bytes = body === undefined ? undefined : encodeCanonical(body);
    const answer = await this.send(method, path, bytes);
    if (answer.status < 400) return answer;
    throw new RegistryProblem(answer.status, (answer.body ?? {}) as Record<string, unknown>);
  }

  /** Sends the bytes as they are, and gives whatever comes back. */
  async send(method: string, path: string, body?: Uint8Array): Promise<Answer> {
    const request = httpsRequest(new URL(path, this.#profile.endpoint), {
      method,
      agent: this.#agent,
      headers: {
        accept: 'application/json',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': body.length }),
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    try {
      const answered = once(request, 'response') as Promise<[IncomingMessage]>;
      request.end(body);
      const [response] = await answered;
      const text = (await buffer(response)).toString('utf8');
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: text === '' ? undefined : jsonOf(text),
      };
    } catch (error) {
      throw new CommandMistake(
        `${this.#profile.endpoint} does not answer (${codeOf(error)}): ` +
          'see that the instance runs, and that certificate, key and CA belong to its cluster',
      );
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

/**
 * PUTs bytes to an address that an instance handed out, with exactly the headers it gave. Resolves
 * with the status; memory does not grow with the size.
 */
export async function putBytes(
  target: { readonly url: string; readonly headers: Readonly<Record<string, string>> },
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ readonly status: number; readonly text: string }> {
  const url = new URL(target.url);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const { host: _, ...headers } = target.headers;
  const request = send(url, { method: 'PUT', headers });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  // The server may refuse before it has read everything: its answer counts, not the broken pipe.
  answered.catch(() => undefined);
  const sent = pump(request, bytes);
  sent.catch(() => undefined);
  const [response] = await answered;
  const text = (await buffer(response)).toString('utf8');
  request.destroy();
  return { status: response.statusCode ?? 0, text };
}

async function pump(
  request: ReturnType<typeof httpRequest>,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  for await (const chunk of bytes)
    if (!request.write(chunk)) await Promise.race([once(request, 'drain'), once(request, 'close')]);
  request.end();
}
