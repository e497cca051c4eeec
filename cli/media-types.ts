/** Media types by the endings of files. */
import { extname } from 'node:path';

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.ifc': 'application/x-step',
  '.ifczip': 'application/zip',
  '.bcf': 'application/zip',
  '.bcfzip': 'application/zip',
  '.zip': 'application/zip',
  '.pdf': 'application/pdf',
  '.eml': 'message/rfc822',
  '.dwg': 'image/vnd.dwg',
  '.dxf': 'image/vnd.dxf',
  '.xml': 'application/xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.txt': 'text/plain',
};

/** The media type that a file's ending suggests. */
export function mediaTypeOf(path: string): string {
  return MEDIA_TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';
}
