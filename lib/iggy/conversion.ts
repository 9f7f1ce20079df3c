import type { Task } from "../base/mod.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "../log/mod.ts";
import { haveEqualBytes } from "../storage/mod.ts";
import { corrupt, type Damage } from "./damage.ts";
import type { ListedSegment } from "./directory.ts";
import { fileSize, type Place, withFile } from "./files.ts";
import { Output } from "./output.ts";
import type { Counts, TransferredFile } from "./report.ts";
import { type Find, hasOnlyZeros, hasValid } from "./tail.ts";
import type { FileWindow } from "./file_window.ts";

/** Bytes of memory that are written at a time. */
const OUTPUT_BYTES = 8 * 1024 * 1024;
/** The same of an index; a dense one has a quarter of the bytes of the shortest messages. */
const INDEX_OUTPUT_BYTES = 2 * 1024 * 1024;

/** What a conversion is told. */
export interface ConversionOptions {
  /** Where files are, and where blocks come from. */
  place: Place;
  /** The directory that gets the files. */
  to: string;
  /** Names of segment files that are there. */
  existing: readonly string[];
  /** Write nothing. */
  isDry: boolean;
  /** The source is a log: it was closed, so that it has no torn tail, and space may be prepared. */
  isLog: boolean;
  /** Cut a torn tail. */
  cutsTornTail: boolean;
  /** Told of every window. */
  onProgress: ((bytes: number) => void) | undefined;
}

/** The two files of a segment that is being written. */
export interface SegmentOutput {
  /** The `.log`. */
  log: Output;
  /** The `.index`. */
  index: Output;
}

/**
 * What the conversions of both directions share: the files that they make, what they count, and how
 * a segment ends.
 */
export class Conversion {
  /** What was converted. */
  readonly counts: Counts;
  /** The files that were made, in their order; they have temporary names. */
  readonly files: TransferredFile[] = [];
  /** Number of segments that were made. */
  segments = 0;
  /** What the conversion was told. */
  readonly options: ConversionOptions;
  #open: Output[] = [];
  #temporary: string[] = [];

  /** Begins; nothing is made yet. */
  constructor(options: ConversionOptions, counts: Counts) {
    this.options = options;
    this.counts = counts;
  }

  /** Makes the two files of a segment, under temporary names. */
  *begin(firstOffset: number): Task<SegmentOutput> {
    const name = segmentName(firstOffset);
    const log = yield* this.#create(`${name}.log`, OUTPUT_BYTES);
    const index = yield* this.#create(`${name}.index`, INDEX_OUTPUT_BYTES);
    this.segments++;
    return { log, index };
  }

  *#create(name: string, bytes: number): Task<Output> {
    const { place, to, isDry } = this.options;
    const path = join(to, name + TEMPORARY_SUFFIX);
    if (!isDry) this.#temporary.push(path);
    const output = yield* Output.create(place, path, { bytes, isDry });
    this.#open.push(output);
    return output;
  }

  /**
   * Makes the files of a segment durable, and compares them with those that are there.
   *
   * @throws {Deno.errors.AlreadyExists} If the target holds something else.
   */
  *end({ index, log }: SegmentOutput): Task<void> {
    for (const output of [index, log]) {
      yield* output.finish();
      yield* output.close();
      this.#open.splice(this.#open.indexOf(output), 1);
      const path = output.path.slice(0, -TEMPORARY_SUFFIX.length);
      const name = path.slice(path.lastIndexOf("/") + 1);
      const byteLength = output.length;
      const wasThere = yield* this.#isThere(name, path, byteLength);
      this.files.push({ name, byteLength, wasThere });
      this.counts.bytesWritten += byteLength;
    }
  }

  *#isThere(name: string, path: string, byteLength: number): Task<boolean> {
    const { place, existing, isDry, to } = this.options;
    if (!existing.includes(name)) return false;
    const size = yield* fileSize(place, path);
    if (size === byteLength) {
      if (isDry) return true;
      const isSame = yield* withFile(place, path, {}, (mine) =>
        withFile(
          place,
          path + TEMPORARY_SUFFIX,
          {},
          (other) => haveEqualBytes(mine, other, place.pool),
        ));
      if (isSame) return true;
    }
    if (size > 0) throw holdsOthers(to, name, size);
    return false;
  }

  /** Closes and removes what was made, after a failure. */
  *undo(): Task<void> {
    for (const output of this.#open.splice(0)) {
      yield* ignoringFailure(output.close());
    }
    for (const path of this.#temporary.splice(0)) {
      yield* ignoringFailure(this.options.place.storage.remove(path));
    }
  }

  /**
   * Classifies what follows the last valid batch or message of a segment: nothing, zeros, a torn
   * tail, or damage.
   *
   * Nothing after the data is copied (`docs/format.md#iggy-no-zeros`).
   *
   * @throws {CorruptSegmentError} For damage, and for a torn tail that is not to be cut.
   */
  *endSource(source: {
    segment: ListedSegment;
    isLast: boolean;
    window: FileWindow;
    damage: Damage;
    find: Find;
    vouched: () => Task<boolean>;
  }): Task<void> {
    const { segment, isLast, window, damage } = source;
    const { isLog, cutsTornTail } = this.options;
    const { position } = window;
    const bytes = window.size - position;
    const { counts } = this;
    const place = {
      path: segment.logPath,
      position,
      offset: counts.nextOffset,
    };
    if (yield* source.vouched()) {
      throw corrupt(damage, place, "its index vouches for more messages");
    }
    if (bytes === 0) return;
    if (isLog) {
      // Rolling cuts prepared space, and so does closing: only a last segment may have any.
      const isPrepared = isLast && damage[0] === "torn" &&
        (yield* hasOnlyZeros(window));
      if (isPrepared) {
        counts.zerosCut += bytes;
        return;
      }
      throw corrupt(damage, place);
    }
    const isDamage = !isLast || damage[0] === "timestamp" ||
      (yield* hasValid(window, source.find));
    if (isDamage) throw corrupt(damage, place);
    if (!cutsTornTail) {
      throw corrupt(
        ["torn", damage[1]],
        place,
        `no message follows, so that its server was killed while it wrote the last ${bytes} bytes. Start the server, which recovers them, and stop it; or import with 'tornTail: "cut"' (--cut-torn-tail), which leaves them out`,
      );
    }
    counts.tornBytesCut += bytes;
  }
}

/** Makes the error for a target with messages that the source has not. */
export function holdsOthers(
  to: string,
  name: string,
  size: number,
): Deno.errors.AlreadyExists {
  return new Deno.errors.AlreadyExists(
    `Cannot copy to '${to}': '${name}' there has ${size} bytes that the source has not: only into an empty partition or directory`,
  );
}

function* ignoringFailure(task: Task<void>): Task<void> {
  try {
    yield* task;
  } catch {
    // The caller reports the failure that came first.
  }
}
