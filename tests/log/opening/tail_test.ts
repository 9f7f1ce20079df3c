/**
 * Opening reads the partly filled last blocks, which the writer then writes again. They must have
 * what the disk holds.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Log } from "../../../lib/log/mod.ts";
import type { PooledBuffer } from "../../../lib/pool/mod.ts";
import type { BufferRange, StorageFile } from "../../../lib/storage/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import { PassingFile, PassingStorage } from "../_passing_storage.ts";
import {
  DIR,
  filesOf,
  LEFT_OPEN,
  make,
  on,
  withLog,
} from "../recovery/_support.ts";
import { payload, segment } from "../_support.ts";

/** The bits that this test flips in reads: in headers, payloads and index entries. */
const BITS = [0, 8 * 8, 8 * 40, 8 * 300 + 3, 8 * 310, 8 * 500];

function reads(disk: SimulatedDisk): number {
  return disk.trace.filter(({ kind }) => kind === "read").length;
}

for (const isLeftOpen of [false, true]) {
  const state = isLeftOpen ? "left by a crash" : "closed";
  const made = make(0, [100, 200]);
  const files = { ...filesOf(made), ...isLeftOpen ? LEFT_OPEN : {} };

  Deno.test(`Log.open(): a wrong bit in one read of a log ${state} is not written back`, async () => {
    for (const flipBit of BITS) {
      for (let number = 1, all = 1; number <= all; number++) {
        await on(files, (place) => {
          const disk = place.storage;
          disk.failAt(number, { flipBit }, { kind: "read" });
          try {
            withLog(place, (log) => {
              all = Math.max(all, reads(disk));
              // A wrong bit where recovery looks for the end looks like a torn write, and is
              // reported as one.
              if (log.nextOffset < 2) return;
              log.append(payload(2, 10));
            });
          } catch {
            // What cannot be believed is refused, and nothing is changed.
          }
          const log = place.bytes(`${segment(0)}.log`);
          const kept = log.subarray(0, made.log.length);
          if (kept.length === made.log.length) assertEquals(kept, made.log);
        });
      }
    }
  });
}

Deno.test("Log.open() refuses a device that returns different bytes each time", async () => {
  const messages = new Set<string>();
  for (let first = 1; first < 8; first++) {
    await on(filesOf(make(0, [100, 200])), (place) => {
      let turn = 0;
      place.storage.onOperation(({ kind, path }) => {
        const isRead = kind === "read" && path.endsWith(".log");
        if (isRead && ++turn >= first) return { flipBit: turn };
      });
      try {
        withLog(place, () => {});
      } catch (error) {
        messages.add((error as Error).message.replace(/^.*: /, ""));
      }
    });
  }
  assert(
    messages.has("the device gives other bytes each time"),
    [...messages].join("; "),
  );
});

/** Truncates a file, as another program would, at the last read that opening makes of it. */
class CuttingStorage extends PassingStorage {
  readonly disk: SimulatedDisk;
  readonly path: string;
  readonly length: number;
  /** Number of reads of the file before the truncation. */
  readonly reads: number;

  constructor(
    disk: SimulatedDisk,
    path: string,
    length: number,
    reads: number,
  ) {
    super(disk);
    this.disk = disk;
    this.path = path;
    this.length = length;
    this.reads = reads;
  }

  protected override wrap(file: StorageFile): StorageFile {
    return file.path === this.path ? new CutFile(file, this) : file;
  }
}

class CutFile extends PassingFile {
  readonly #storage: CuttingStorage;

  constructor(inner: StorageFile, storage: CuttingStorage) {
    super(inner);
    this.#storage = storage;
  }

  override readSync(
    buffer: PooledBuffer,
    at: number,
    range?: BufferRange,
  ): number {
    const { disk, path, length, reads } = this.#storage;
    const before =
      disk.trace.filter((each) => each.kind === "read" && each.path === path)
        .length;
    if (before === reads) {
      using file = disk.openSync(path, { write: true });
      file.truncateSync(length);
    }
    return super.readSync(buffer, at, range);
  }
}

Deno.test("Log.open() refuses a file that is truncated meanwhile, and does not overwrite it", async () => {
  const made = make(0, [100, 200]);
  for (const isLeftOpen of [false, true]) {
    const files = { ...filesOf(made), ...isLeftOpen ? LEFT_OPEN : {} };
    for (const suffix of ["log", "index"]) {
      const name = `${segment(0)}.${suffix}`;
      const path = `${DIR}/${name}`;
      let all = 0;
      await on(files, (place) => {
        withLog(place, () => {
          all = place.storage.trace.filter((each) =>
            each.kind === "read" && each.path === path
          ).length;
        });
      });
      await on(files, (place) => {
        const disk = place.storage;
        const storage = new CuttingStorage(disk, path, 20, all - 1);
        assertThrows(
          () => Log.openSync(DIR, { storage, pool: place.pool }),
          Deno.errors.UnexpectedEof,
          `'${path}' up to byte`,
        );
        assertEquals(
          [...disk.peek(path)],
          [...filesOf(made)[name]!.subarray(0, 20)],
        );
        assertEquals(disk.openFiles, 0);
        assert(disk.lock(DIR) !== undefined, "the lock is held");
      });
    }
  }
});
