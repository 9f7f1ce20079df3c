/**
 * One segment of a log, for programs that keep files in a way of their own.
 *
 * A segment is two files that the caller opens: the messages and their index. {@linkcode
 * SegmentWriter} appends with group commit, as a log does; {@linkcode SegmentReader} reads and
 * verifies. Names, rolling, locks and cursors are the log's.
 *
 * @example Writing and reading one
 * ```ts
 * import { DirectFile } from "@basalt/io";
 * import { SegmentReader, SegmentWriter } from "@basalt/io/segment";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const options = { read: true, write: true, create: true };
 * {
 *   using log = DirectFile.openSync(`${dir}/log`, options);
 *   using index = DirectFile.openSync(`${dir}/index`, options);
 *   await using writer = await SegmentWriter.create({ log, index, firstOffset: 0 });
 *   assertEquals(writer.append("hello"), 0);
 * }
 * {
 *   using log = DirectFile.openSync(`${dir}/log`, { read: true });
 *   const reader = new SegmentReader({ log, firstOffset: 0 });
 *   for await (using batch of reader.read()) assertEquals(batch.text(0), "hello");
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 *
 * @module
 */
export {
  MessageBatch,
  SegmentReader,
  SegmentWriter,
} from "./lib/segment/mod.ts";
export type {
  AppendOptions,
  ExpectOptions,
  FaultKind,
  FlatPayloads,
  ReadOptions,
  ReadStart,
  RecoveryReport,
  SegmentReaderOptions,
  SegmentWriterOptions,
  StopReason,
} from "./lib/segment/mod.ts";
