import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';

const EVERY_MS = 20;

/** Ends the server and everybody who is connected, also whoever is still shaking hands. */
export async function stopServer(server: Server | TlsServer): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  // What was a handshake a moment ago is a connection now, and may be kept for minutes.
  const closing = setInterval(() => server.closeAllConnections(), EVERY_MS);
  await closed;
  clearInterval(closing);
}
