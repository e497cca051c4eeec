/** A JWS in compact serialization (RFC 7515 section 3.1). */
export type Compact = string & { readonly compact: unique symbol };
/** A statement */
export type Statement = { readonly format: string };
