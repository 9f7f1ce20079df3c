/**
 * Ships a log's durable messages to another system, which stores each exactly once.
 *
 * The system is a {@linkcode Sink}, which knows what it has stored. `@basalt/io/jetstream` has one
 * for NATS JetStream.
 *
 * @example Shipping a log to its end
 * ```ts
 * import type { Log } from "@basalt/io";
 * import { ship, type Sink } from "@basalt/io/ship";
 *
 * async function shipAll(log: Log, sink: Sink): Promise<void> {
 *   await using shipping = ship(log, sink, { cursor: "backup", follow: false });
 *   await shipping.done;
 * }
 * ```
 *
 * @module
 */
export { pull } from "./pull.ts";
export type { PullOptions, PullReport } from "./pull.ts";
export { ship, Shipping } from "./ship.ts";
export type { ShipEvent, ShipOptions, ShippingStats } from "./ship.ts";
export type { ShippableLog, ShippingCursor } from "./shippable_log.ts";
export { ShippingError } from "./shipping_error.ts";
export type { ShippingErrorReason } from "./shipping_error.ts";
export type { ShippedLog, Sink } from "./sink.ts";
export type { ResumePoint, Source, SourceMessage } from "./source.ts";
