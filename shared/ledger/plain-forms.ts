/**
 * The two objects that nearly every entry of a large ledger has, each recognised in one stroke: what
 * fits a pattern here is canonical and fits its schema (a law in the tests holds it to that), and is
 * read several times faster. What does not fit says nothing: then it is parsed like all else.
 */
import { asBuffer } from './as-buffer.ts';
import type { Digest } from './digest.ts';
import { limits } from './limits.ts';
import type { Details, UploadDocument } from './transaction.ts';

const HEX_64 = '"([0-9a-f]{64})"';
const ID = `"([A-Za-z0-9][A-Za-z0-9._:-]{0,${limits.identifierCharactersMax - 1}})"`;
/** Without parameters, which may hold what JSON escapes. */
const MEDIA_TYPE = '"([A-Za-z0-9][\\w!#$&^.+-]{0,99}/[A-Za-z0-9][\\w!#$&^.+-]{0,99})"';
const UUID = '"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"';

const UPLOAD = new RegExp(
  `^\\{"contentDigest":${HEX_64},"detailsDigest":${HEX_64},"documentId":${ID},` +
    `"format":"registry/transaction/v1","mediaType":${MEDIA_TYPE},"size":(0|[1-9]\\d{0,14}),` +
    `"transactionId":${UUID},"type":"upload-document","version":([1-9]\\d{0,14})\\}$`,
);

/** An upload-document without `supersedes` and without parameters of the media type. */
export function plainUpload(bytes: Uint8Array): UploadDocument | undefined {
  // Other characters than ASCII's fit nowhere in the pattern, however they are decoded.
  const match = UPLOAD.exec(asBuffer(bytes).toString('latin1'));
  if (match === null) return undefined;
  const size = Number(match[5]);
  if (size > limits.documentBytesMax) return undefined;
  // None of the groups is optional.
  return {
    format: 'registry/transaction/v1',
    type: 'upload-document',
    contentDigest: match[1] as Digest,
    detailsDigest: match[2] as Digest,
    documentId: match[3] as string,
    mediaType: match[4] as string,
    size,
    transactionId: match[6] as string,
    version: Number(match[7]),
  };
}

/** Letters up to U+02FF: none is a control, is escaped, or combines with another. */
function letters(count: number): string {
  return `"([ !#-[\\]-\\u02ff]{1,${count}})"`;
}

const DETAILS = new RegExp(
  `^\\{"format":"registry/details/v1","name":${letters(limits.nameCharactersMax)},` +
    `(?:"note":${letters(limits.descriptionCharactersMax)},)?"salt":"([0-9a-f]{32})"\\}$`,
);

/** The details of an upload-document in letters of Europe's west. */
export function plainUploadDetails(bytes: Uint8Array): Details | undefined {
  // What is no UTF-8 becomes U+FFFD, which does not fit.
  const match = DETAILS.exec(asBuffer(bytes).toString('utf8'));
  if (match === null) return undefined;
  const format = 'registry/details/v1';
  const name = match[1] as string;
  const note = match[2];
  const salt = match[3] as string;
  return note === undefined ? { format, name, salt } : { format, name, note, salt };
}
