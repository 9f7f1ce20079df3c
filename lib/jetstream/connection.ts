/**
 * A connection of the NATS client: what `connect` of `@nats-io/transport-node` returns.
 *
 * Only the members that identify such a connection are listed here.
 */
export interface JetStreamConnection {
  /** Whether the connection was closed for good. */
  isClosed(): boolean;
  /** Resolves when the connection is closed, to the error if there is one. */
  closed(): Promise<void | Error>;
  /** Returns the address of the server. */
  getServer(): string;
  /** Resolves when the server has taken all that was published. */
  flush(): Promise<void>;
}
