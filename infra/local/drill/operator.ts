/** What an operator decides at their own instance, signed with their own key. */
import * as z from 'zod';
import { bytesOf } from '../../../shared/client/calls.ts';
import type { Profile } from '../../../shared/client/profile.ts';
import { RegistryClient } from '../../../shared/client/registry-client.ts';
import { readOwnIdentity } from '../../../shared/client/tls-check.ts';
import type { Link } from '../../../shared/ledger/backlinks.ts';
import type { CertificateId, Digest, RegistryId } from '../../../shared/ledger/digest.ts';
import { signStatement } from '../../../shared/ledger/jws.ts';
import type { Resolution } from '../../../shared/ledger/resolution.ts';

const conflictSchema = z.object({
  conflictId: z.string(),
  open: z.boolean(),
  kind: z.string(),
  sequence: z.number(),
  accused: z.string(),
  signer: z.string(),
  digests: z.array(z.string()),
  resolution: z.string().optional(),
});

const storySchema = z.object({
  ...conflictSchema.shape,
  setAside: z.object({ from: z.number().optional(), copy: z.number().optional() }).optional(),
  manners: z.array(z.string()),
  next: z.string(),
});

const decidedSchema = z.object({ resolution: z.object({ digest: z.string() }) });

export type Conflict = z.output<typeof conflictSchema>;

/** A decision about conflicts, as the operator of the lead words it. */
export interface Decision {
  readonly manner: Resolution['manner'];
  readonly conflicts: readonly string[];
  readonly entries?: readonly Link[];
  readonly reason: string;
}

/** One person with one certificate. */
export class Operator {
  readonly client: RegistryClient;
  readonly #profile: Profile;
  readonly #instanceId: string;

  constructor(profile: Profile, instanceId: string) {
    this.client = new RegistryClient(profile);
    this.#profile = profile;
    this.#instanceId = instanceId;
  }

  /** PEM of the cluster's CA, against which a conflict file is held. */
  get clusterCaPem(): string {
    return this.#profile.caPem;
  }

  async openConflicts(registryId: string): Promise<Conflict[]> {
    const answer = await this.#get(`${pathOf(registryId)}/conflicts`);
    const { conflicts } = z.object({ conflicts: z.array(conflictSchema) }).parse(answer);
    return conflicts.filter(({ open }) => open);
  }

  /** The conflict with what can be done about it at this instance. */
  async story(registryId: string, conflictId: string): Promise<z.output<typeof storySchema>> {
    const answer = await this.#get(`${pathOf(registryId)}/conflicts/${conflictId}`);
    return storySchema.parse(answer);
  }

  /** The conflict file: canonical bytes. */
  async evidence(registryId: string, conflictId: string): Promise<Buffer> {
    return bytesOf(await this.#get(`${pathOf(registryId)}/conflicts/${conflictId}/evidence`));
  }

  /** Decides at the lead. Gives the digest of the resolution that is in force from now on. */
  async resolve(registryId: string, decision: Decision): Promise<Digest> {
    const { entries = [], ...rest } = decision;
    const { head } = await this.client.unverified.registry(registryId);
    const { sequence, digest } = head;
    const said = { ...rest, entries, through: { sequence, digest } };
    const answer = await this.#post(registryId, 'resolutions', said);
    return decidedSchema.parse(answer).resolution.digest as Digest;
  }

  /** Accepts at a mirror what the accused lead has decided. */
  async accept(registryId: string, resolution: Digest, reason: string): Promise<void> {
    await this.#post(registryId, 'acceptances', { resolution, reason });
  }

  /** Begins a new copy of the mirror's ledger at that entry. */
  async setAside(
    registryId: string,
    said: { readonly conflicts: readonly string[]; readonly from: number; readonly copy: number },
    reason: string,
  ): Promise<void> {
    await this.#post(registryId, 'set-asides', { ...said, reason });
  }

  /** Nothing is recorded after it, for good. */
  async closeRegistry(registryId: string): Promise<void> {
    await this.client.unverified.call('POST', `${pathOf(registryId)}/closings`, {});
  }

  #get(path: string): Promise<unknown> {
    return this.client.unverified.call('GET', path);
  }

  #post(registryId: string, what: keyof typeof formats, said: object): Promise<unknown> {
    const { certificate, key } = readOwnIdentity(this.#profile, Date.now());
    const { certificateId: decidedBy, publicKeyJwk } = certificate;
    const payload = {
      ...said,
      format: formats[what],
      registryId: registryId as RegistryId,
      decidedBy,
      signer: this.#instanceId as CertificateId,
    };
    const decision = signStatement(payload, key, publicKeyJwk);
    return this.client.unverified.call('POST', `${pathOf(registryId)}/${what}`, { decision });
  }
}

const formats = {
  resolutions: 'registry/resolution/v1',
  acceptances: 'registry/acceptance/v1',
  'set-asides': 'registry/set-aside/v1',
} as const;

function pathOf(registryId: string): string {
  return `/v1/registries/${registryId}`;
}
