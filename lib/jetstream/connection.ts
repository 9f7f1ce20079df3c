/**
 * A connection of the NATS client: what `connect` of `@nats-io/transport-node` returns.
 *
 * Only what tells such a connection from other objects is named here.
 */
export interface JetStreamConnection {
  /** Whether the connection was closed for good. */
  isClosed(): boolean;
  /** Resolves when the connection was closed, to the error if there was one. */
  closed(): Promise<void | Error>;
  /** Returns the address of the server. */
  getServer(): string;
  /** Resolves when the server has taken all that was published. */
  flush(): Promise<void>;
}
