/**
 * Reads and writes a single segment of a log, for programs that manage files themselves.
 *
 * A segment is two files that the caller opens: the messages and their index. {@linkcode
 * SegmentWriter} appends with group commit, as a log does. {@linkcode SegmentReader} reads and
 * verifies. Names, rolling, locks and cursors are up to the caller.
 *
 * @example Writing and reading a segment
 * ```ts
 * import { DirectFile } from "@basalt/io";
 * import { SegmentReader, SegmentWriter } from "@basalt/io/segment";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const open = (options: { write?: true; create?: true }) => ({
 *   log: DirectFile.openSync(`${dir}/log`, { read: true, ...options }),
 *   index: DirectFile.openSync(`${dir}/index`, { read: true, ...options }),
 *   firstOffset: 0,
 * });
 * {
 *   await using writer = await SegmentWriter.create(open({ write: true, create: true }));
 *   assertEquals(writer.append("hello"), 0);
 * }
 * {
 *   await using reader = new SegmentReader(open({}));
 *   for await (const batch of reader.read()) assertEquals(batch.text(0), "hello");
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 *
 * @module
 */
export type { InstantLike, Time } from "./lib/base/mod.ts";
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
