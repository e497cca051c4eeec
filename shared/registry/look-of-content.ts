import { type IfcHeader, readIfcHeader } from './ifc-header.ts';

/**
 * What the first bytes of a document look like: a hint for people, signed by nobody. The declared
 * media type is kept as it was given; where the look differs, that is a warning and never an error.
 */

export interface ContentLook {
  /** What the bytes begin like; absent where they are nothing that is recognised here. */
  readonly looksLike?: LookMediaType;
  /** A sentence, where the declared media type says something else. */
  readonly warning?: string;
  /** What a building model says of itself. */
  readonly ifc?: IfcHeader;
}

export type LookMediaType = 'application/x-step' | 'application/pdf' | 'application/zip';

/** So many bytes are looked at. */
export const LOOK_BYTES = 64 * 1024;

const ZIP_BEGINNINGS = ['PK\x03\x04', 'PK\x05\x06'];
/** ISO 32000-1, appendix H: readers take a header within the first 1024 bytes. */
const PDF_WITHIN = 1024;

/** `beginning`: the first bytes of the document, `LOOK_BYTES` or all that there are. */
export function lookOfContent(beginning: Uint8Array, declared: string): ContentLook {
  const text = Buffer.from(beginning.subarray(0, LOOK_BYTES)).toString('latin1');
  const looksLike = mediaTypeOf(text);
  const warning = warningOf(looksLike, mediaTypeWithoutParameters(declared));
  const ifc = looksLike === 'application/x-step' ? readIfcHeader(text) : undefined;
  return {
    ...(looksLike === undefined ? {} : { looksLike }),
    ...(warning === undefined ? {} : { warning }),
    ...(ifc === undefined ? {} : { ifc }),
  };
}

function mediaTypeOf(text: string): LookMediaType | undefined {
  if (/^(?:\xef\xbb\xbf)?\s*ISO-10303-21;/.test(text)) return 'application/x-step';
  if (ZIP_BEGINNINGS.some((beginning) => text.startsWith(beginning))) return 'application/zip';
  return text.slice(0, PDF_WITHIN).includes('%PDF-') ? 'application/pdf' : undefined;
}

function mediaTypeWithoutParameters(declared: string): string {
  return (declared.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Media types that say nothing about the bytes. */
const SAY_NOTHING = new Set(['application/octet-stream', 'binary/octet-stream']);

/** Which declared media types go with a look. */
const FITTING: Readonly<Record<LookMediaType, (declared: string) => boolean>> = {
  'application/x-step': (declared) =>
    /^(?:application|model)\/(?:x-step|step|p21|ifc|x-ifc)$/.test(declared) ||
    declared === 'text/plain',
  'application/pdf': (declared) => /^application\/(?:x-)?pdf$/.test(declared),
  // Office files, BCF and IFC ZIP are archives with media types of their own.
  'application/zip': (declared) =>
    /zip|vnd\.openxmlformats|vnd\.oasis\.opendocument|bcf|epub|java-archive/.test(declared),
};

function warningOf(looksLike: LookMediaType | undefined, declared: string): string | undefined {
  if (SAY_NOTHING.has(declared)) return undefined;
  if (looksLike !== undefined)
    return FITTING[looksLike](declared)
      ? undefined
      : `declared as ${declared}, but the bytes begin like ${looksLike}`;
  const claimed = (Object.keys(FITTING) as LookMediaType[]).find(
    (look) => declared !== 'text/plain' && FITTING[look](declared),
  );
  return claimed === undefined
    ? undefined
    : `declared as ${declared}, but the bytes do not begin like ${claimed}`;
}
