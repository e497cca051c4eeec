import type { CertificateId, RegistryId } from '../ledger/digest.ts';

/** The port to other instances. */

export type PeerOperation =
  | 'deliver'
  | 'entries'
  | 'evidence'
  | 'statements'
  | 'invite'
  | 'head'
  | 'content'
  | 'certificate'
  | 'configuration';

export interface PeerRequest {
  readonly operation: PeerOperation;
  readonly registryId: RegistryId;
  /**
   * `content`: the content digest; `evidence`: its digest; `certificate`: a certificate id; `head`: a
   * nonce; `entries`: the sequence of the first one.
   */
  readonly subject?: string;
  readonly body?: Uint8Array;
}

export type PeerAnswer =
  /** Whatever status: the body is untrusted bytes. `retryAfterSeconds` from 429 and 503. */
  | {
      readonly outcome: 'answered';
      readonly status: number;
      readonly body: Uint8Array;
      readonly retryAfterSeconds?: number;
    }
  /**
   * No answer from that very peer. The body may have been sent, and may still have its effect, where
   * the reason is a time-out, a redirect, a broken connection or too large an answer.
   */
  | { readonly outcome: 'unreachable'; readonly reason: string };

/**
 * Other instances. The answer is given only over a connection whose server proved the peer's
 * certificate id under the cluster CA before any byte of the body was sent; redirects are refused.
 */
export interface PeerTransport {
  call(peer: CertificateId, request: PeerRequest): Promise<PeerAnswer>;
  /** Bytes from a URL that a peer handed out. Untrusted: endless, wrong, slow. Undefined: refused. */
  download(url: string): Promise<AsyncIterable<Uint8Array> | undefined>;
}
