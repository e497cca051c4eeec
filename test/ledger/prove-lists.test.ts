import { describe, expect, test } from 'vitest';
import type { Digest, Sequence } from '../../shared/ledger/digest.ts';
import { leadAt, type ProvedLists, proveLists } from '../../shared/ledger/prove-lists.ts';
import type { CarriedCommit } from '../../shared/ledger/signed-commit.ts';
import {
  createRegistry,
  reconfigurePeers,
  TestLedger,
  type TestPeer,
  testPeers,
  uploadDocument,
} from '../builders.ts';
import { forgeCommit } from '../forged-commit.ts';
import { carriedAt, headAt, linkOf } from './disputes.ts';

const [first, second, third] = testPeers(3) as [TestPeer, TestPeer, TestPeer];

/** Led by the first to entry 3, by the second to entry 5, by the third from there on. */
const ledger = new TestLedger([first, second, third], [first, second]);
ledger.upload('a');
ledger.reconfigure(second, first);
ledger.commit([uploadDocument('b'), reconfigurePeers([third, second])]);
ledger.upload('c');
const { registryId } = ledger;
const configurations = [1, 3, 5].map((sequence) => carriedAt(ledger, sequence));

function prove(commits: readonly CarriedCommit[], id = registryId): string {
  const proved = proveLists({ registryId: id, configurations: commits });
  return proved.outcome === 'refused' ? `${proved.code} ${proved.detail}` : proved.outcome;
}

describe('peer lists', () => {
  test('are proved from the registry id on, each linked from the next', () => {
    const ids = [first, second, third].map(({ certificateId }) => certificateId);

    expect(proveLists({ registryId, configurations })).toEqual({
      outcome: 'proved',
      lists: [
        { ...linkOf(ledger.entryAt(1)), peers: [ids[0], ids[1]] },
        { ...linkOf(ledger.entryAt(3)), peers: [ids[1], ids[0]] },
        { ...linkOf(ledger.entryAt(5)), peers: [ids[2], ids[1]] },
      ],
      peers: [ids[2], ids[1]],
      everPeers: new Set(ids),
    });
  });

  test('say who leads where', () => {
    const { lists } = proveLists({ registryId, configurations }) as ProvedLists;
    const leads = [1, 2, 3, 4, 5, 6, 100].map((sequence) => leadAt(lists, sequence));

    expect(leads).toEqual(
      [first, first, first, second, second, third, third].map((peer) => peer.certificateId),
    );
  });

  test('begin with the create-registry of this registry', () => {
    const other = new TestLedger([first, second]);
    const uploaded = forgeCommit(first, undefined, [uploadDocument()], {
      registryId,
      lead: first.certificateId,
    });

    expect(prove([])).toBe('NOT_FIRST_ENTRY there is no peer list at all');
    expect(prove(configurations.slice(1))).toMatch(/^NOT_FIRST_ENTRY .* do not begin with/);
    expect(prove(configurations, other.registryId)).toMatch(/^STATEMENT_REGISTRY_DIFFERS/);
    expect(prove([signedFor(uploaded.commit, uploaded.chain.digest)])).toMatch(/^NOT_FIRST_ENTRY/);
  });

  test('are refused where a commit is broken, or breaks the form', () => {
    const broken = { ...carriedAt(ledger, 3), checkpoint: 'a.b.c' };
    const flawed = forgeCommit(first, headAt(ledger, 2), [reconfigurePeers([second])], {
      timestamp: 'yesterday',
    });

    expect(prove([carriedAt(ledger, 1), broken])).toMatch(/^STATEMENT_MALFORMED/);
    expect(prove([carriedAt(ledger, 1), flawed.commit])).toMatch(/^SCHEMA_VIOLATION/);
  });

  test('are refused where one is missing, or comes a second time', () => {
    const [one, two, three] = configurations as [CarriedCommit, CarriedCommit, CarriedCommit];
    const before = forgeCommit(first, undefined, [reconfigurePeers([first])], {
      registryId,
      lead: first.certificateId,
      configuration: linkOf(ledger.entryAt(1)),
    });

    expect(prove([one, three])).toMatch(/^CONFIGURATION_LINK_WRONG entry 4 skips a peer list/);
    expect(prove([one, two, two])).toMatch(/^CONFIGURATION_LINK_WRONG/);
    expect(prove([one, signedFor(before.commit, before.chain.digest)])).toMatch(
      /^CONFIGURATION_LINK_WRONG entry 1 skips/,
    );
  });

  test('are begun once', () => {
    const again = forgeCommit(first, headAt(ledger, 2), [createRegistry([second])]);

    expect(prove([carriedAt(ledger, 1), again.commit])).toMatch(/^NOT_FIRST_ENTRY entry 3 creates/);
  });

  test('are their own lead’s word', () => {
    const one = carriedAt(ledger, 1);
    const list = reconfigurePeers([second, first]);
    const usurped = forgeCommit(second, headAt(ledger, 2), [list], { lead: second.certificateId });
    const signed = forgeCommit(second, headAt(ledger, 2), [list]);
    const begun = forgeCommit(first, undefined, [createRegistry([second, first])], {
      lead: first.certificateId,
    });

    expect(prove([one, usurped.commit])).toMatch(/^LEAD_DIFFERS entry 3 is not of the lead in/);
    expect(prove([one, signed.commit])).toMatch(/^LEAD_DIFFERS the checkpoint of entry 3/);
    expect(prove([begun.commit], begun.chain.registryId)).toMatch(/^LEAD_DIFFERS entry 1 is not/);
  });
});

/** The commit under a checkpoint of this registry. */
function signedFor(commit: CarriedCommit, digest: Digest): CarriedCommit {
  const statement = {
    copy: 1,
    digest,
    format: 'registry/checkpoint/v1',
    issuedAt: '2026-11-22T10:00:00.000Z',
    registryId,
    sequence: 1 as Sequence,
    signer: first.certificateId,
  };
  return { ...commit, checkpoint: first.sign(statement) };
}
