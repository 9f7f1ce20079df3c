/**
 * Exports logs to an Apache Iggy server, and imports partitions as logs. Batches of Iggy 0.9 and
 * later are those of a log; messages of Iggy 0.7.3 to 0.8 are converted.
 *
 * @example Planning an export
 * ```ts
 * import { exportToIggy } from "@basalt/io/iggy";
 *
 * const plan = () => exportToIggy(
 *   "/data/log",
 *   "/srv/iggy/local_data/streams/0/topics/0/partitions/0",
 *   { dryRun: true },
 * );
 * ```
 *
 * @module
 */
export type { CarriedCursor, CursorNames } from "./carried_cursors.ts";
export type { ConsumerKind, ConsumerOffset } from "./consumer_offsets.ts";
export { exportToIggy, exportToIggySync } from "./export.ts";
export type { ExportOptions } from "./export.ts";
export type { IggyFormat } from "./format.ts";
export { importFromIggy, importFromIggySync } from "./import.ts";
export type { ImportOptions } from "./import.ts";
export type { TransferOptions, TransferProgress } from "./options.ts";
export type { PartitionAddress } from "./partition.ts";
export type { Splits, TransferredFile, TransferReport } from "./report.ts";
