/** The names of what an instance tells its operators, as metrics: see `Alarms` in ports.ts. */

export type Signal =
  | 'ConflictsOpened'
  | 'OpenConflicts'
  | 'StatementsRefused'
  | 'ClockSkew'
  | 'PeerUnreachable'
  | 'DocumentUnavailable'
  | 'AuditFindings'
  | 'EventsHopeless';

/** How far a peer is behind: entries, and seconds since the oldest of them was appended. */
export type PeerLagMeasure = 'PeerLagEntries' | 'PeerLagSeconds';

/** Whole days until a certificate expires; below 0 it has. */
export type CertificateMeasure = 'InstanceCertificateDays' | 'ClusterCaDays';

export type Measure = PeerLagMeasure | CertificateMeasure;

/** What is only counted: nobody is called for it. */
export type Counter = 'Appends' | 'Confirmations';
