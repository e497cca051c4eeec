import type { DenyList } from '../registry/deny-list.ts';
import type { PeerTransport } from '../registry/peer-transport.ts';
import type { Alarms } from '../registry/ports.ts';

export interface GuardPorts {
  readonly denyList: Pick<DenyList, 'ids'>;
  readonly alarms: Pick<Alarms, 'count'>;
}

/**
 * Calls no peer that is denied, not even over a connection that is open: to the rest of the instance
 * such a peer is unreachable. Counts the bodies that went out.
 */
export function guardedTransport(
  transport: PeerTransport,
  { denyList, alarms }: GuardPorts,
): PeerTransport {
  return {
    call: async (peer, request) => {
      if ((await denyList.ids()).has(peer))
        return { outcome: 'unreachable', reason: 'this instance denies the peer' };
      const answer = await transport.call(peer, request);
      const { registryId, operation, body } = request;
      if (answer.outcome === 'answered' && body !== undefined)
        alarms.count({ BytesSent: body.byteLength }, { registryId, peer, operation });
      return answer;
    },
    download: (url) => transport.download(url),
  };
}
