/** The signal of a conflict, as it stands in the log of the instance that raised it. */

export interface ConflictAlarm {
  /** Name of the instance that raised it: of its finder first, then of everybody who is told. */
  readonly instance: string;
  /** The function that raised it, as its source is called: `audit`. */
  readonly raisedBy: string;
  /** Milliseconds since 1970, by the instance's clock. */
  readonly at: number;
  readonly registryId: string;
  readonly conflictId: string;
  readonly kind: string;
  readonly sequence: number;
  /** A certificate id, or `open`. */
  readonly accused: string;
  /** Certificate id of the finder. */
  readonly finder: string;
  readonly detail: string;
}

/** The alarm in one line of a log; undefined: it is about something else. */
export function readConflictAlarm(instance: string, line: string): ConflictAlarm | undefined {
  // Most lines are not worth parsing.
  if (!line.includes('"ConflictsOpened"')) return undefined;
  const said = JSON.parse(line);
  if (said.ConflictsOpened !== 1) return undefined;
  const { registryId, conflictId, kind, sequence, accused, signer, detail } = said.facts;
  const place = { registryId, conflictId, kind, sequence, accused, detail };
  const raisedBy = said.function ?? 'unknown';
  return { ...place, instance, raisedBy, at: said._aws.Timestamp, finder: signer };
}
