/**
 * Reading, verifying, inspecting and planning while a writer opens, writes, truncates or closes:
 * docs/format.md#read-look, docs/format.md#write-remove.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "@std/assert";
import {
  inspectLogSync,
  Log,
  LogReader,
  OffsetOutOfRangeError,
  planRepairSync,
  verifyLogSync,
} from "../../../lib/log/mod.ts";
import { LockedError, type StorageFile } from "../../../lib/storage/mod.ts";
import { PassingFile, PassingStorage } from "../_passing_storage.ts";
import { at, KIB, payload, SimulatedPlace } from "../_support.ts";

const OPTIONS = { segmentBytes: 4 * KIB, flushAfterMs: 0 };

/** Calls back before each sync operation. */
class Watched extends PassingStorage {
  #count = 0;
  #isBusy = false;
  readonly #before: (ordinal: number) => void;

  constructor(place: SimulatedPlace, before: (ordinal: number) => void) {
    super(place.storage);
    this.#before = before;
  }

  /** Number of operations so far. */
  get count(): number {
    return this.#count;
  }

  /** Reports an operation, unless the callback itself made it. */
  tell(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#before(this.#count++);
    this.#isBusy = false;
  }

  protected override wrap(file: StorageFile): StorageFile {
    return new WatchedFile(file, this);
  }
  override openSync(...args: Parameters<PassingStorage["openSync"]>) {
    this.tell();
    return super.openSync(...args);
  }
  override listSync(path: string) {
    this.tell();
    return super.listSync(path);
  }
  override isLocked(path: string) {
    this.tell();
    return super.isLocked(path);
  }
}

class WatchedFile extends PassingFile {
  readonly #storage: Watched;

  constructor(inner: StorageFile, storage: Watched) {
    super(inner);
    this.#storage = storage;
  }
  override readSync(...args: Parameters<PassingFile["readSync"]>): number {
    this.#storage.tell();
    return super.readSync(...args);
  }
  override sizeSync(): number {
    this.#storage.tell();
    return super.sizeSync();
  }
}

type Change = (place: SimulatedPlace, log: Log | undefined) => Log | undefined;

function append(log: Log, count: number, length: number): Log {
  for (let i = 0; i < count; i++) log.append(payload(log.nextOffset, length));
  log.flushSync();
  return log;
}

const open = (place: SimulatedPlace): Log =>
  Log.openSync(place.dir, { ...place, ...OPTIONS, prepareBytes: 64 * KIB });

/** What may happen between two operations. The log has a writer at first where `isOpen`. */
const CHANGES: Record<string, { isOpen: boolean; change: Change }> = {
  "a writer opens it": { isOpen: false, change: (place) => open(place) },
  "a writer opens it and appends": {
    isOpen: false,
    change: (place) => append(open(place), 1, 300),
  },
  "a writer opens it, rolls and closes it": {
    isOpen: false,
    change: (place) => {
      append(open(place), 3, 3000).closeSync();
      return undefined;
    },
  },
  "its writer appends across what was there": {
    isOpen: true,
    change: (_place, log) => append(log!, 1, 2000),
  },
  "its writer truncates it": {
    isOpen: true,
    change: (_place, log) => {
      log!.truncateBeforeSync(log!.nextOffset - 1);
      return log;
    },
  },
  "its writer rolls and truncates all before": {
    isOpen: true,
    change: (_place, log) => {
      append(log!, 2, 3000);
      log!.truncateBeforeSync(log!.nextOffset);
      return log;
    },
  },
  "its writer closes it": {
    isOpen: true,
    change: (_place, log) => {
      log!.closeSync();
      return undefined;
    },
  },
};

/**
 * Runs a check of a log once for each of its operations, with a change before that operation.
 * Returns the number of operations.
 */
async function beforeEach(
  what: keyof typeof CHANGES,
  look: (
    place: SimulatedPlace,
    storage: Watched,
    hasChanged: () => boolean,
  ) => void,
): Promise<void> {
  const { isOpen, change } = CHANGES[what]!;
  for (let ordinal = 0, count = 1; ordinal < count; ordinal++) {
    await at(new SimulatedPlace(), (place) => {
      let log: Log | undefined = append(open(place), 7, 1500);
      if (!isOpen) {
        log.closeSync();
        log = undefined;
      }
      let hasChanged = false;
      const storage = new Watched(place, (now) => {
        if (now !== ordinal) return;
        log = change(place, log);
        hasChanged = true;
      });
      try {
        look(place, storage, () => hasChanged);
        count = Math.max(count, storage.count);
      } finally {
        log?.closeSync();
      }
    });
  }
}

for (const what of Object.keys(CHANGES)) {
  Deno.test(`verifyLog() of a sound log has no faults, and ends, when ${what} at any moment`, () =>
    beforeEach(what, (place, storage) => {
      const { dir, pool } = place;
      assertEquals([...verifyLogSync(dir, { storage, pool })], []);
    }));

  Deno.test(`inspectLog() of a sound log reports no damage when ${what} at any moment`, () =>
    beforeEach(what, (place, storage) => {
      const { dir, pool } = place;
      const { opening } = inspectLogSync(dir, { storage, pool });
      if (!opening.possible) assertInstanceOf(opening.error, LockedError);
    }));

  Deno.test(`LogReader.read() finds no damage when ${what} at any moment`, () =>
    beforeEach(what, (place, storage) => {
      const { dir, pool } = place;
      let next = 0;
      try {
        for (const batch of new LogReader(dir, { storage, pool }).readSync()) {
          // Without `from`, reading begins where the log does.
          if (next > 0) assertEquals(batch.firstOffset, next);
          next = batch.nextOffset;
          batch.drop();
        }
        assert(next >= 7, `${next} messages`);
      } catch (error) {
        assertInstanceOf(error, OffsetOutOfRangeError);
      }
    }));

  Deno.test(`planRepair() has nothing to do, or finds the writer, when ${what} at any moment`, () =>
    beforeEach(what, (place, storage) => {
      const { dir, pool } = place;
      try {
        assertEquals(planRepairSync(dir, { storage, pool }).needed, false);
      } catch (error) {
        assertInstanceOf(error, LockedError);
      }
    }));
}

Deno.test("Log.read() is OffsetOutOfRangeError when the next message was truncated", () =>
  at(new SimulatedPlace(), (place) => {
    for (const options of [{}, { from: 0 }]) {
      let log: Log | undefined;
      for (let ordinal = 0, count = 1; ordinal < count; ordinal++) {
        const inner = new SimulatedPlace();
        let now = -1;
        const storage = new Watched(inner, () => {
          if (now >= 0 && now++ === ordinal) {
            log!.truncateBeforeSync(log!.nextOffset);
          }
        });
        log = append(
          Log.openSync(inner.dir, {
            ...place,
            ...OPTIONS,
            storage,
            tailBytes: 0,
          }),
          7,
          1500,
        );
        now = 0;
        try {
          for (const batch of log.readSync({ ...options, readAheadBytes: 0 })) {
            batch.drop();
          }
        } catch (error) {
          assertInstanceOf(error, OffsetOutOfRangeError);
        }
        count = Math.max(count, now);
        now = -1;
        log.closeSync();
      }
    }
  }));

Deno.test("verifyLog() ends in a log whose file is longer than its size was at first", () =>
  at(new SimulatedPlace(), (place) => {
    append(open(place), 2, 1500).closeSync();
    /** A file that grows by a message after its size was read. */
    class Growing extends PassingFile {
      override sizeSync(): number {
        return super.sizeSync() - 100;
      }
    }
    class GrowingStorage extends PassingStorage {
      protected override wrap(file: StorageFile): StorageFile {
        return file.path.endsWith(".log") ? new Growing(file) : file;
      }
    }
    const storage = new GrowingStorage(place.storage);
    const faults = [...verifyLogSync(place.dir, { ...place, storage })];
    assertEquals(faults.map((each) => each.kind), ["torn"]);
  }));

Deno.test("planRepair() does not lock out a writer", () =>
  at(new SimulatedPlace(), (place) => {
    append(open(place), 2, 1500).closeSync();
    let log: Log | undefined;
    const onRead = () => log ??= open(place);
    assertThrows(
      () => planRepairSync(place.dir, { ...place, onRead }),
      LockedError,
    );
    assertEquals(log!.nextOffset, 2);
    log!.closeSync();
    assertEquals(planRepairSync(place.dir, place).needed, false);
  }));

Deno.test("Storage.isLocked() takes no lock", () =>
  at(new SimulatedPlace(), (place) => {
    open(place).closeSync();
    const { dir, pool } = place;
    class Lockless extends PassingStorage {
      override lock(): never {
        throw new Error("a look took the lock");
      }
    }
    const storage = new Lockless(place.storage);
    assertEquals([...verifyLogSync(dir, { storage, pool })], []);
    assertEquals(inspectLogSync(dir, { storage, pool }).locked, false);
    for (const batch of new LogReader(dir, { storage, pool }).readSync()) {
      batch.drop();
    }
    assertEquals(planRepairSync(dir, { storage, pool }).needed, false);
  }));
