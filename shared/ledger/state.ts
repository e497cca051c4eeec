export type StateKey = string & { readonly stateKey: unique symbol };
export type StateItem = Readonly<Record<string, unknown>>;
export interface StateChange {
  readonly key: StateKey;
  readonly before: StateItem | undefined;
  readonly after: StateItem;
}
