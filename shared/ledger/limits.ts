/** Every limit of the protocol, section 11, each with its reason. Sizes are in bytes. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const limits = {
  /** Canonical bytes of a transaction and its details together: far below DynamoDB's 400 KB item. */
  transactionBytesMax: 64 * KIB,
  /** 24 entries of 4 items, head and checkpoint stay within DynamoDB's 100 items a transaction. */
  commitEntriesMax: 24,
  /** An array of transactions, as one request body. */
  appendBytesMax: MIB,
  /** Entries of one delivery. */
  deliveryEntriesMax: 100,
  /** Body of one delivery: below the 6 MB that a Lambda takes. */
  deliveryBytesMax: 4 * MIB,
  /** Statements of one request to a peer: about 1 KiB each with their checkpoint. */
  statementsMax: 100,
  /** Configuration entries of one invitation. */
  invitationEntriesMax: 1000,
  /** Peers of one registry: every pair of them talks to each other. */
  peersMax: 32,
  /** Unicode code points of a name, a description or a note. */
  nameCharactersMax: 256,
  descriptionCharactersMax: 4096,
  /** A document: what one checksummed PUT to S3 takes. */
  documentBytesMax: 5 * 1024 * MIB,
  /** Items of one page of a list. */
  pageMax: 100,
  /** Nesting of a canonical object: protocol section 2. */
  depthMax: 16,
  /** One statement (JWS compact): a conflict with its evidence named by digest is the largest. */
  statementBytesMax: 32 * KIB,
  /** Evidence kept for one refused delivery: a whole delivery. */
  evidenceBytesMax: 4 * MIB,
  /** A transaction id, a document id, a request id: part of a table key. */
  identifierCharactersMax: 128,
  /** How far behind a peer may have confirmed to be handed the lead (protocol section 3). */
  newLeadBehindMax: 100,
  /** Entries that one resolution replaces or voids: two items each, within one transaction's 100. */
  replacedEntriesMax: 30,
  /** A certificate in PEM. */
  certificateBytesMax: 8 * KIB,
  /** Life of a URL that uploads or downloads bytes, in seconds: security page. */
  objectUrlSeconds: 300,
} as const;
