import { once } from 'node:events';
import { type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { checkedLookup, hostOf, isRefusedHost } from './peer-address.ts';
import type { ConnectionOptions } from './peer-connection.ts';

type DownloadOptions = Pick<ConnectionOptions, 'localEndpoints' | 'timeoutMs' | 'resolve'>;

/**
 * The bytes behind a URL that a peer handed out, as a stream: without this instance's certificate,
 * without redirects. Undefined where the URL is not admitted or is not answered with 200. The URL
 * is a secret for as long as it is valid, so no error repeats it.
 */
export async function download(
  untrustedUrl: string,
  options: DownloadOptions,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const url = URL.parse(untrustedUrl);
  if (url === null || !isAdmitted(url, options.localEndpoints)) return undefined;
  const request = url.protocol === 'https:' ? requestSecure : requestPlain;
  const outgoing = request({
    host: hostOf(url),
    port: url.port,
    path: `${url.pathname}${url.search}`,
    headers: { host: url.host },
    agent: false,
    lookup: checkedLookup(options.localEndpoints, options.resolve),
  });
  const giveUp = () => outgoing.destroy(new Error('time-out'));
  const deadline = setTimeout(giveUp, options.timeoutMs);
  outgoing.setTimeout(options.timeoutMs, giveUp);
  outgoing.on('error', ignore);
  outgoing.end();
  try {
    const [response]: IncomingMessage[] = await once(outgoing, 'response');
    if (response?.statusCode === 200) return bytesOf(response.on('error', ignore));
    outgoing.destroy();
    return undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(deadline);
  }
}

function isAdmitted(url: URL, local: boolean): boolean {
  if (url.username !== '' || url.password !== '') return false;
  if (url.protocol !== 'https:' && !(local && url.protocol === 'http:')) return false;
  return local || !isRefusedHost(hostOf(url));
}

async function* bytesOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk;
  } catch {
    throw new Error('the download broke off: the peer sent less than it announced, or too slowly');
  }
}

function ignore(): void {
  // Whoever reads the bytes learns of it; until somebody reads, nobody needs to.
}
