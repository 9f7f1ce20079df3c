/**
 * Logs for an Apache Iggy server, and from one: a server of 0.7.3 to 0.8 keeps a partition in the same files as this library keeps a log.
 *
 * @example What a hand-over would do
 * ```ts
 * import { handOver } from "@basalt/io/iggy";
 *
 * const plan = () => handOver("/data/log", {
 *   dataDirectory: "/srv/iggy/local_data",
 *   stream: "orders",
 *   topic: "eu",
 *   dryRun: true,
 * });
 * ```
 *
 * @module
 */
export { handOver, handOverSync } from "./hand_over.ts";
export type { TransferOptions } from "./copy_log.ts";
export type { ConsumerOffset, PartitionAddress } from "./partition.ts";
export type { TransferReport } from "./report.ts";
export { takeOver, takeOverSync } from "./take_over.ts";
export type { TransferredFile } from "./transfer.ts";
