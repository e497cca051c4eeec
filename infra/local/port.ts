import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/**
 * The port if nobody listens on it, or any free one for 0. `option` is where the reader set it.
 * Rejects with a sentence when it is taken.
 */
export async function freePort(port: number, option: string): Promise<number> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Error(
      `port ${port} cannot be used (${code}): end the program that listens there, ` +
        `or give another port as ${option}`,
    );
  } finally {
    server.close();
  }
}

const LOWEST = 20_000;
const HIGHEST = 30_000;

/** The first of so many ports in a row that nobody listens on. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    // Below what systems give to anybody who asks for any port.
    const first = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST - count));
    const all = Array.from({ length: count }, (_, index) => freePort(first + index, 'another'));
    const free = await Promise.allSettled(all);
    if (free.every(({ status }) => status === 'fulfilled')) return first;
  }
}
