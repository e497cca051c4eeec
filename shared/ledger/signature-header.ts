import * as z from 'zod';
import type { Canonical } from './canonical.ts';
import { type Digest, digestOf } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';
import { validate } from './schema.ts';
import { exactBase64, exactBase64url, type SignatureAlgorithm } from './signature-bytes.ts';
import { quoted, readCertificateKey, sameKey } from './signing-key.ts';
import type { Purpose, SigningKey } from './transaction.ts';

/**
 * The protected header of a person's signature, the one form of it that is admitted: ETSI TS 119
 * 182-1 V1.2.1 with `sigD` of the mechanism ObjectIdByURIHash (clause 5.2.8.3.3), RFC 7797.
 */

/** What the header must say. */
export interface ExpectedHeader {
  readonly publicKey: SigningKey;
  /** Of that key. */
  readonly algorithms: readonly SignatureAlgorithm[];
  /** The URN of the version. */
  readonly object: string;
  /** Of the version's bytes. */
  readonly contentDigest: Digest;
  readonly purpose: Purpose;
}

/** What the signer chooses. */
export interface SigningOptions {
  readonly algorithm: SignatureAlgorithm;
  /** When the signer says to sign: whole seconds since 1970 (RFC 7519 section 4.1.6). */
  readonly iat: number;
  /** DER, the signer's own first, each issued by the next; they are part of what is signed. */
  readonly certificates?: readonly Uint8Array[];
}

/** What the header says beyond what was expected. */
export interface HeaderFacts {
  readonly algorithm: SignatureAlgorithm;
  /** RFC 3339 with milliseconds; the signer's own claim. */
  readonly signedAt: string;
  /** DER, the signer's own first; kept, but neither their issuers nor their times are judged. */
  readonly certificates: readonly Uint8Array[];
}

/** Clause 5.2.8.3.3, and SHA-256 by its name in JAdES. */
const MECHANISM = 'http://uri.etsi.org/19182/ObjectIdByURIHash';
const HASH = 'S256';

/** RFC 7797 section 6 asks for `b64`, clause 5.1.9 for `sigD`. */
const CRITICAL = '["b64","sigD"]';

/** Clause 5.2.3 takes any URI; these are those of XAdES (ETSI TS 101 903). */
const COMMITMENTS: Readonly<Record<Purpose, string>> = {
  approval: 'http://uri.etsi.org/01903/v1.2.2#ProofOfApproval',
  origin: 'http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin',
  receipt: 'http://uri.etsi.org/01903/v1.2.2#ProofOfReceipt',
  creation: 'http://uri.etsi.org/01903/v1.2.2#ProofOfCreation',
};

/** 9999-12-31T23:59:59Z, the last second that RFC 3339 can write. */
const LAST_SECOND = 253_402_300_799;

/** The signer's certificate and three authorities: what cards carry. */
const CERTIFICATES_MAX = 4;

/** The header of a signature to be made; `checkHeader` says whether it is a good one. */
export function headerOf(
  { object, contentDigest, purpose }: ExpectedHeader,
  { algorithm, iat, certificates = [] }: SigningOptions,
): Canonical {
  const [signer] = certificates;
  return {
    alg: algorithm,
    b64: false,
    crit: ['b64', 'sigD'],
    iat,
    sigD: { hashM: HASH, hashV: [base64urlOf(contentDigest)], mId: MECHANISM, pars: [object] },
    srCms: [{ commId: { id: COMMITMENTS[purpose] } }],
    ...(signer && {
      x5c: certificates.map((der) => Buffer.from(der).toString('base64')),
      'x5t#S256': base64urlOf(digestOf(signer)),
    }),
  };
}

function base64urlOf(digest: Digest): string {
  return Buffer.from(digest, 'hex').toString('base64url');
}

/** Members whose flaws have codes of their own are left open: each is looked at in its turn. */
const headerSchema = z.strictObject({
  alg: z.unknown(),
  b64: z.unknown(),
  crit: z.unknown(),
  iat: z.int().min(0).max(LAST_SECOND),
  jwk: z.unknown().optional(),
  sigD: z.unknown().optional(),
  srCms: z.tuple([z.strictObject({ commId: z.strictObject({ id: z.string() }) })]),
  x5c: z.unknown().optional(),
  'x5t#S256': z.unknown().optional(),
});

type Header = z.output<typeof headerSchema>;

/**
 * Holds a parsed header against what was expected, in this order: `alg`, `crit`, `b64`, unknown and
 * missing members, `jwk`, `x5c` with `x5t#S256`, `sigD`, `srCms`. The first flaw is the refusal.
 */
export function checkHeader(
  untrusted: Canonical,
  expected: ExpectedHeader,
): ({ readonly outcome: 'checked' } & HeaderFacts) | Refused {
  const { alg, crit, b64 } = Object(untrusted) as Readonly<Record<string, unknown>>;
  const algorithm = expected.algorithms.find((admitted) => admitted === alg);
  if (algorithm === undefined) return refuseAlgorithm(alg, expected.algorithms);
  if (JSON.stringify(crit) !== CRITICAL)
    return refuse('SIGNATURE_CRIT_UNKNOWN', `crit is ${quoted(crit)}; expected ${CRITICAL}`);
  if (b64 !== false) return malformed(`b64 is ${quoted(b64)}; expected false`);
  const valid = validate(headerSchema, untrusted);
  if (valid.outcome === 'refused') return malformed(`${valid.code}: ${valid.detail}`);
  const header = valid.value;
  if (header.jwk !== undefined && !sameKey(header.jwk, expected.publicKey))
    return refuseKey('jwk is not the requested key, or has other members than it');
  const certified = readCertificates(header, expected.publicKey);
  if (certified.outcome === 'refused') return certified;
  const flaw = flawOfObject(header, expected) ?? flawOfPurpose(header, expected);
  if (flaw !== undefined) return flaw;
  const signedAt = new Date(1000 * header.iat).toISOString();
  return { outcome: 'checked', algorithm, signedAt, certificates: certified.certificates };
}

/** What the message names is never tried, whatever it is: none, HMAC, another kind of key. */
export function refuseAlgorithm(
  found: unknown,
  algorithms: readonly SignatureAlgorithm[],
): Refused {
  return refuse(
    'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    `the algorithm is ${quoted(found)}; the requested key signs with ${algorithms.join(' or ')}`,
  );
}

function malformed(detail: string): Refused {
  return refuse('SIGNATURE_MALFORMED', `protected header: ${detail}`);
}

function refuseKey(what: string): Refused {
  return refuse(
    'SIGNATURE_KEY_DIFFERS',
    `${what}; sign with the requested key, or ask for another`,
  );
}

const certificatesSchema = z.strictObject({
  x5c: z
    .array(
      z
        .string()
        .max(limits.certificateBytesMax)
        .refine((text) => exactBase64(text) !== undefined, 'expected base64 with padding'),
    )
    .min(1)
    .max(CERTIFICATES_MAX),
  'x5t#S256': z.string(),
});

interface Certificates {
  readonly outcome: 'read';
  readonly certificates: readonly Uint8Array[];
}

/** `x5c` (RFC 7515 section 4.1.6) with `x5t#S256` (4.1.8): both or neither. */
function readCertificates(header: Header, publicKey: SigningKey): Certificates | Refused {
  const { x5c, 'x5t#S256': thumbprint } = header;
  if (x5c === undefined && thumbprint === undefined) return { outcome: 'read', certificates: [] };
  const valid = validate(certificatesSchema, { x5c, 'x5t#S256': thumbprint });
  if (valid.outcome === 'refused') return refuseCertificate(valid.detail);
  const certificates = valid.value.x5c.map((text) => Buffer.from(text, 'base64'));
  const keys = certificates.map(readCertificateKey);
  const unreadable = keys.indexOf(undefined);
  if (unreadable !== -1)
    return refuseCertificate(`x5c.${unreadable} is not one X.509 certificate in DER`);
  const [signer] = certificates as [Buffer];
  if (thumbprint !== base64urlOf(digestOf(signer)))
    return refuseCertificate('x5t#S256 is not the SHA-256 of the first certificate in x5c');
  const [key] = keys;
  if (key?.outcome !== 'read' || !sameKey(key.publicKey, publicKey))
    return refuseKey('the first certificate in x5c is not one of the requested key');
  return { outcome: 'read', certificates };
}

function refuseCertificate(detail: string): Refused {
  return refuse(
    'SIGNATURE_CERTIFICATE_MALFORMED',
    `${detail}; expected x5c with 1 to ${CERTIFICATES_MAX} certificates, and x5t#S256 of the first`,
  );
}

/** Exactly one object with exactly one hash: a second one would be signed without being asked. */
const objectSchema = z.strictObject({
  hashM: z.literal(HASH),
  hashV: z.tuple([
    z
      .string()
      .refine((text) => exactBase64url(text)?.length === 32, 'expected a SHA-256 in base64url'),
  ]),
  mId: z.literal(MECHANISM),
  pars: z.tuple([z.string()]),
});

function flawOfObject(
  { sigD }: Header,
  { object, contentDigest }: ExpectedHeader,
): Refused | undefined {
  const valid = validate(objectSchema, sigD);
  if (valid.outcome === 'refused')
    return refuse('SIGNATURE_SIGD_MALFORMED', `sigD: ${valid.detail}; take the served input`);
  const { pars, hashV } = valid.value;
  if (pars[0] !== object)
    return refuse(
      'SIGNATURE_OBJECT_DIFFERS',
      `the signature is over ${quoted(pars[0])}; the request is about ${object}`,
    );
  if (hashV[0] !== base64urlOf(contentDigest))
    return refuse(
      'SIGNATURE_CONTENT_DIFFERS',
      `the signature is over bytes with the SHA-256 ${hashV[0]} (base64url); ` +
        `those of the version have ${base64urlOf(contentDigest)}`,
    );
  return undefined;
}

function flawOfPurpose({ srCms }: Header, { purpose }: ExpectedHeader): Refused | undefined {
  const found = srCms[0].commId.id;
  if (found === COMMITMENTS[purpose]) return undefined;
  return refuse(
    'SIGNATURE_PURPOSE_DIFFERS',
    `the signature states ${quoted(found)}; the request is for ${COMMITMENTS[purpose]}`,
  );
}
