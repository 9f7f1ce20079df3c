/**
 * Ships a log to NATS JetStream, and restores it from there.
 *
 * @example Restoring a log from a stream
 * ```ts
 * import { Log } from "@basalt/io";
 * import { jetStreamSource } from "@basalt/io/jetstream";
 * import { pull } from "@basalt/io/ship";
 * import { connect } from "npm:@nats-io/transport-node@3.4.0";
 *
 * async function restore(dir: string): Promise<void> {
 *   await using connection = await connect({ servers: "nats://127.0.0.1:4222" });
 *   await using log = await Log.open(dir);
 *   const address = { stream: "edge", subject: "edge.7" };
 *   await pull(jetStreamSource(connection, address), log);
 * }
 * ```
 *
 * @module
 */
export { jetStreamSink } from "./sink.ts";
export { jetStreamSource } from "./source.ts";
export type {
  JetStreamAddress,
  JetStreamConnection,
  JetStreamOptions,
} from "./_stream.ts";
