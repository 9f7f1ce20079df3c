/**
 * NATS JetStream as the destination of a log, and as the source of one.
 *
 * @module
 */
export { jetStreamSink } from "./sink.ts";
export type { JetStreamSinkOptions } from "./sink.ts";
export { jetStreamSource } from "./source.ts";
export type { JetStreamSourceOptions } from "./source.ts";
export type { JetStreamAddress } from "./_stream.ts";
export type { JetStreamConnection } from "./connection.ts";
