/** A small building model in the exchange format IFC (ISO 10303-21), different in every version. */

export interface ModelVersion {
  readonly project: string;
  readonly version: number;
  /** Seconds since 1970, for the header. */
  readonly time: number;
  readonly storeys: number;
}

/** The model as text; a few kilobytes. */
export function buildModel({ project, version, time, storeys }: ModelVersion): string {
  const stamp = new Date(time * 1000).toISOString().slice(0, 19);
  const ids = idSource(`${project}:${version}`);
  const lines = [
    'ISO-10303-21;',
    'HEADER;',
    "FILE_DESCRIPTION(('ViewDefinition [ReferenceView]'),'2;1');",
    `FILE_NAME('ARC-0001.ifc','${stamp}',('Entwurfsverfasser'),('Architekturb\\X2\\00FC\\X0\\ro'),'','demonstration','');`,
    "FILE_SCHEMA(('IFC4'));",
    'ENDSEC;',
    'DATA;',
    '#1=IFCSIUNIT(*,.LENGTHUNIT.,$,.METRE.);',
    '#2=IFCUNITASSIGNMENT((#1));',
    '#3=IFCCARTESIANPOINT((0.,0.,0.));',
    '#4=IFCAXIS2PLACEMENT3D(#3,$,$);',
    "#5=IFCGEOMETRICREPRESENTATIONCONTEXT($,'Model',3,1.E-05,#4,$);",
    `#6=IFCPROJECT('${ids()}',$,'${project}','Version ${version}',$,$,$,(#5),#2);`,
    '#7=IFCLOCALPLACEMENT($,#4);',
    `#8=IFCBUILDING('${ids()}',$,'Schulhaus',$,$,#7,$,$,.ELEMENT.,$,$,$);`,
  ];
  for (let storey = 0; storey < storeys; storey += 1) {
    const at = 10 + storey * 2;
    lines.push(
      `#${at}=IFCBUILDINGSTOREY('${ids()}',$,'Geschoss ${storey}',$,$,#7,$,$,.ELEMENT.,${storey * 3.5});`,
      `#${at + 1}=IFCRELAGGREGATES('${ids()}',$,$,$,#8,(#${at}));`,
    );
  }
  return [...lines, 'ENDSEC;', 'END-ISO-10303-21;', ''].join('\n');
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_$';

/** Ids of 22 characters, as the format has them; the same for the same seed. */
function idSource(seed: string): () => string {
  let state = [...seed].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  return () => `0${Array.from({ length: 21 }, () => ALPHABET[next() >>> 26] ?? '0').join('')}`;
}
