import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOOK_BYTES, lookOfContent } from '../../shared/registry/look-of-content.ts';

const model = (...lines: readonly string[]) =>
  Buffer.from(['ISO-10303-21;', 'HEADER;', ...lines, 'ENDSEC;', 'DATA;'].join('\n'), 'latin1');
const HEADER = [
  "FILE_DESCRIPTION(('ViewDefinition [ReferenceView]'),'2;1');",
  "FILE_NAME('ARC-0001.ifc','2026-11-22T10:00:00',('Weber','Arslan'),('Architekturb\\X2\\00FC\\X0\\ro'),'Exporter 3','CAD 27','');",
  "FILE_SCHEMA(('IFC4'));",
];
const PROJECT = "#6=IFCPROJECT('0abc',$,'Neubau Grundschule Musterstadt',$,$,$,$,(#5),#2);";

describe('the look of a document', () => {
  test.each([
    ['a model', model(...HEADER), 'application/x-step'],
    ['a model after a byte order mark', Buffer.from('\ufeffISO-10303-21;'), 'application/x-step'],
    ['a PDF', Buffer.from('%PDF-1.7\n'), 'application/pdf'],
    ['a PDF after other bytes', Buffer.from(`${' '.repeat(900)}%PDF-1.7`), 'application/pdf'],
    ['an archive', Buffer.from('PK\x03\x04\x14\x00'), 'application/zip'],
    ['an empty archive', Buffer.from('PK\x05\x06'), 'application/zip'],
  ])('of %s is recognised', (_what, bytes, looksLike) => {
    expect(lookOfContent(bytes, looksLike)).toMatchObject({ looksLike });
    expect(lookOfContent(bytes, looksLike)).not.toHaveProperty('warning');
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a text about PDF', Buffer.from(`${' '.repeat(1100)}%PDF-1.7`)],
    ['a compressed file', gzipSync('ISO-10303-21;')],
  ])('of %s is not', (_what, bytes) => {
    expect(lookOfContent(bytes, 'application/octet-stream')).toEqual({});
  });

  test.each([
    ['application/pdf', model(...HEADER), 'begin like application/x-step'],
    ['image/png', Buffer.from('%PDF-1.7'), 'begin like application/pdf'],
    ['application/x-step', Buffer.from('PK\x03\x04'), 'begin like application/zip'],
    ['application/pdf', Buffer.from('<html>'), 'do not begin like application/pdf'],
    ['Application/ZIP; x=y', Buffer.from(''), 'do not begin like application/zip'],
  ])('is a warning where %s is declared and it differs', (declared, bytes, sentence) => {
    expect(lookOfContent(bytes, declared).warning).toContain(sentence);
  });

  test.each([
    ['application/octet-stream', '%PDF-1.7'],
    ['text/plain', 'anything'],
    ['text/plain', 'ISO-10303-21;'],
    ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'PK\x03\x04'],
    ['image/vnd.dwg', 'AC1032'],
  ])('is none where %s is declared for bytes that begin with %s', (declared, text) => {
    expect(lookOfContent(Buffer.from(text), declared)).not.toHaveProperty('warning');
  });
});

describe('the header of a model', () => {
  test('names schema, project, program, file and organization', () => {
    expect(lookOfContent(model(...HEADER, PROJECT), 'application/x-step').ifc).toEqual({
      schema: 'IFC4',
      project: 'Neubau Grundschule Musterstadt',
      application: 'CAD 27',
      fileName: 'ARC-0001.ifc',
      organization: 'Architekturbüro',
    });
  });

  test.each([
    ["'don''t'", "don't"],
    ["'\\X\\E4'", 'ä'],
    ["'\\S\\d'", 'ä'],
    ["'\\X4\\0001F3EB\\X0\\'", '🏫'],
    ["'\\X4\\FFFFFFFF\\X0\\'", '\\X4\\FFFFFFFF\\X0\\'],
    ["'a\\\\b'", 'a\\b'],
  ])('decodes the text %s', (text, expected) => {
    const bytes = model(`FILE_NAME(${text},'',(''),(''),'','','');`);

    expect(lookOfContent(bytes, 'application/x-step').ifc?.fileName).toBe(expected);
  });

  test('falls back to the preprocessor, and to the short name of the project', () => {
    const bytes = model(
      "FILE_NAME ( $, '', (''), (), 'Exporter 3', '', '' );",
      "#6= IFCPROJECT('x',#1,'Kurz','',$,'Lang',$,(#5),IFCLABEL('y'));",
    );

    expect(lookOfContent(bytes, 'application/x-step').ifc).toEqual({
      application: 'Exporter 3',
      project: 'Lang',
    });
  });

  test.each([
    ['no header', []],
    ['a header that is cut off', ["FILE_NAME('abc"]],
    ['a list that never ends', ["FILE_SCHEMA((('IFC4'"]],
    ['lists that nest without end', [`FILE_SCHEMA(${'('.repeat(100)}`]],
  ])('is absent where there is %s', (_what, lines) => {
    expect(lookOfContent(model(...lines), 'application/x-step')).not.toHaveProperty('ifc');
  });

  test('shows no text longer than 256 characters', () => {
    const bytes = model(`FILE_SCHEMA(('${'x'.repeat(1000)}'));`);

    expect(lookOfContent(bytes, 'application/x-step').ifc?.schema).toHaveLength(256);
  });

  test('cuts no character in two', () => {
    const bytes = model(`FILE_SCHEMA(('${'x'.repeat(255)}\\X4\\0001F3EB\\X0\\y'));`);

    const schema = lookOfContent(bytes, 'application/x-step').ifc?.schema;

    expect(schema).toBe(`${'x'.repeat(255)}🏫`);
  });
});

test('whatever the bytes, looking at them ends and shows well-formed texts', () => {
  const pieces = fc.constantFrom(
    'ISO-10303-21;',
    'FILE_NAME(',
    'FILE_SCHEMA((',
    'IFCPROJECT(',
    "'",
    "''",
    '(',
    ')',
    ',',
    '\\X2\\D800\\X0\\',
    '$',
    'a',
  );
  const texts = fc.array(pieces, { maxLength: 200 }).map((list) => `ISO-10303-21;${list.join('')}`);
  fc.assert(
    fc.property(texts, (text) => {
      const { ifc = {} } = lookOfContent(Buffer.from(text), 'application/x-step');
      expect(Object.values(ifc).every((value) => value.isWellFormed())).toBe(true);
    }),
  );
  expect(lookOfContent(Buffer.alloc(4 * LOOK_BYTES, '('), 'text/plain')).toEqual({});
});
