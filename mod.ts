/**
 * A durable, append-only log on direct I/O, and the direct files and aligned memory pool that it
 * is built on.
 *
 * - {@linkcode Log} writes and reads a log. {@linkcode LogReader} reads a log that another process
 *   may be writing. Both return a {@linkcode LogIterator} of {@linkcode MessageBatch} or
 *   {@linkcode Message}.
 * - {@linkcode Cursor} stores the position of a consumer. {@linkcode RetainOptions} choose the
 *   segments that a log removes, and {@linkcode previewRetention} lists them.
 * - {@linkcode inspectLog}, {@linkcode verifyLog}, {@linkcode planRepair}, {@linkcode repairLog}
 *   and {@linkcode salvageLog} deal with damaged logs.
 * - {@linkcode LogStats}, {@linkcode LogEvents} and {@linkcode metricsText} monitor a log.
 * - {@linkcode DirectFile} reads and writes past the page cache. {@linkcode probePath} tells what
 *   files at a path can do.
 * - {@linkcode BufferPool} leases aligned memory as a {@linkcode PooledBuffer}, which can become a
 *   shared {@linkcode FrozenBuffer}.
 * - {@linkcode configureEngine} and {@linkcode loadLibrary} choose the engine and the native
 *   library.
 *
 * Basalt's own errors are classes with fields whose names end in `Error`. System errors are the
 * classes of `Deno.errors`.
 *
 * @example A log that survives a power cut
 * ```ts
 * import { Log } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   await log.appendDurable("hello");
 *   for await (using batch of log.read()) {
 *     assertEquals(batch.text(0), "hello");
 *   }
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 *
 * @module
 */
export { loadLibrary, UnsupportedError } from "./lib/native/mod.ts";
export type {
  LibraryOrigin,
  LoadedLibrary,
  LoadLibraryOptions,
} from "./lib/native/mod.ts";
export { configureEngine } from "./lib/engine/mod.ts";
export type { EngineKind, EngineOptions } from "./lib/engine/mod.ts";
export {
  BufferPool,
  FrozenBuffer,
  PooledBuffer,
  PoolLimitError,
  SIZE_CLASSES,
} from "./lib/pool/mod.ts";
export type {
  AcquireOptions,
  AcquireSyncOptions,
  AtLimit,
  AttachOptions,
  BufferPoolOptions,
  BufferState,
  LeakReport,
  PoolClassStats,
  PoolStats,
} from "./lib/pool/mod.ts";
export {
  DirectFile,
  LockedError,
  NoSpaceError,
  probePath,
  probePathSync,
} from "./lib/storage/mod.ts";
export type {
  BufferRange,
  CachedPages,
  Capabilities,
  DirectFileOptions,
  DirectMode,
  DirectProof,
  Durability,
  FileRange,
  FileStat,
  FileStats,
  LockOwner,
  NameDurability,
  NoSpaceCode,
  PreallocateOptions,
  ReadAtOptions,
  ReadManyOptions,
  Tier,
  WriteItem,
  WriteOptions,
} from "./lib/storage/mod.ts";
export type { InstantLike, Time } from "./lib/base/mod.ts";
export {
  decodeUserHeaders,
  encodeUserHeaders,
  formatUuid,
  parseUuid,
} from "./lib/codec/mod.ts";
export type {
  HeaderField,
  HeaderKind,
  Message,
  UserHeader,
  UserHeadersInit,
} from "./lib/codec/mod.ts";
export {
  BackpressureError,
  CorruptSegmentError,
  MessageBatch,
  OffsetConflictError,
  PoisonedError,
} from "./lib/segment/mod.ts";
export type {
  AppendOptions,
  ExpectOptions,
  FaultKind,
  FlatPayloads,
  HistogramSnapshot,
  LogIterator,
  ReadOptions,
  ReadStart,
  RecoveryReport,
  StopReason,
} from "./lib/segment/mod.ts";
export {
  Cursor,
  directoryMetrics,
  inspectLog,
  inspectLogSync,
  Log,
  LogReader,
  metricsText,
  OffsetOutOfRangeError,
  planRepair,
  planRepairSync,
  previewRetention,
  RepairChoiceError,
  repairLog,
  repairLogSync,
  RepairOutdatedError,
  salvageLog,
  salvageLogSync,
  verifyLog,
  verifyLogSync,
} from "./lib/log/mod.ts";
export type {
  CommitOptions,
  CursorEvent,
  CursorInfo,
  CursorLag,
  CursorMessageOptions,
  CursorOptions,
  CursorReadOptions,
  CursorTarget,
  FlushEvent,
  FollowOptions,
  LogEvents,
  LogFault,
  LogInspection,
  LogOptions,
  LogReaderOptions,
  LogReadOptions,
  LogStats,
  OpenCursor,
  OpeningForecast,
  OpeningReport,
  OwnerRecord,
  PoisonEvent,
  ReaderStats,
  ReaderStreamOptions,
  RecoveryEvent,
  RepairKeep,
  RepairOptions,
  RepairPlan,
  RepairPlanOptions,
  RepairStep,
  RetainEvent,
  RetainNowOptions,
  RetainOptions,
  RetentionReport,
  RetentionStats,
  RollEvent,
  SalvageOptions,
  SegmentInspection,
  StreamOptions,
  TailOptions,
  VerifyOptions,
  VerifyProgress,
} from "./lib/log/mod.ts";
