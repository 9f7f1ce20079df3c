/** Tasks of storage operations that a sync caller finishes while they are under way. */
import { Driver, driveSync, type Task, together } from "../../lib/base/mod.ts";
import type { BufferPool, PooledBuffer } from "../../lib/pool/mod.ts";
import {
  OverlayStorage,
  type Storage,
  type StorageFile,
  type StorageOpenOptions,
  TaskFile,
  TaskStorage,
} from "../../lib/storage/mod.ts";
import { SeededRandom, SimulatedDisk } from "../../lib/testing/mod.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { PassingFile, PassingStorage } from "../log/_passing_storage.ts";
import { DISKS, type Subject, SUBJECTS } from "./_subject.ts";

const UNIT = 4096;
const FILES = ["a", "b"];

/** One operation, or several concurrent ones. */
type Plan =
  | { op: "together"; plans: Plan[] }
  | { op: string; file: string; at: number };

const OPERATIONS = [
  "write",
  "write",
  "durable write",
  "read",
  "sync",
  "truncate",
  "preallocate",
  "size",
  "roll",
  "rename",
  "remove",
  "missing",
  "syncDirectory",
];

function planned(random: SeededRandom, isNested = false): Plan[] {
  return Array.from({ length: 1 + random.below(5) }, (_, i): Plan => {
    if (!isNested && random.chance(1 / 4)) {
      // Concurrent operations are each on a file of its own, so that their order does not matter.
      const plans = FILES.map((file): Plan => ({
        op: OPERATIONS[random.below(8)]!,
        file,
        at: random.below(4),
      }));
      return { op: "together", plans };
    }
    const op = OPERATIONS[random.below(OPERATIONS.length)]!;
    return { op, file: FILES[i % 2]!, at: random.below(4) };
  });
}

/** Runs plans in a directory with two open files. */
class Program {
  readonly #storage: TaskStorage;
  readonly #root: string;
  readonly #pool: BufferPool;
  readonly #files: Map<string, TaskFile>;
  readonly results: unknown[] = [];

  constructor(storage: Storage, root: string, pool: BufferPool) {
    this.#storage = new TaskStorage(storage);
    this.#root = root;
    this.#pool = pool;
    this.#files = new Map(FILES.map((name) => {
      const options = { write: true, createNew: true };
      return [
        name,
        new TaskFile(storage.openSync(`${root}/${name}`, options)),
      ];
    }));
  }

  *run(plans: readonly Plan[]): Task<unknown[]> {
    for (const plan of plans) {
      if ("plans" in plan) {
        const each = plan.plans.map((each) => this.#one(each));
        const results = yield* together(each);
        this.results.push(results.map(({ status }) => status));
      } else this.results.push(yield* this.#one(plan));
    }
    for (const file of this.#files.values()) yield* file.close();
    return this.results;
  }

  *#one(plan: Plan): Task<unknown> {
    if ("plans" in plan) return;
    const { op, at } = plan;
    const file = this.#files.get(plan.file)!;
    const path = `${this.#root}/${plan.file}`;
    const storage = this.#storage;
    switch (op) {
      case "write":
      case "durable write": {
        using buffer = this.#filled(1 + at);
        const durability = op === "write" ? "none" : "data";
        return yield* file.write(buffer, at * UNIT, { durability });
      }
      case "read": {
        using buffer = this.#filled(0);
        const read = yield* file.read(buffer, at * UNIT);
        return [...buffer.bytes.subarray(0, Math.min(read, 8))];
      }
      case "sync":
        return yield* file.sync();
      case "truncate":
        return yield* file.truncate(at * UNIT);
      case "preallocate":
        return yield* file.preallocate(at * UNIT, UNIT);
      case "size":
        return yield* file.size();
      case "roll": {
        const next = yield* storage.openNow(`${path}.next`, {
          write: true,
          create: true,
        });
        using buffer = this.#filled(9);
        yield* next.write(buffer, 0);
        yield* next.close();
        return yield* storage.syncDirectory(this.#root);
      }
      case "rename":
        return yield* caught(
          storage.renameNow(`${path}.next`, `${path}.moved`),
        );
      case "remove":
        return yield* caught(storage.removeNow(`${path}.moved`));
      case "missing":
        return yield* caught(storage.openNow(`${path}.missing`));
      case "syncDirectory":
        return yield* storage.syncDirectory(this.#root);
    }
  }

  #filled(value: number): PooledBuffer {
    const buffer = this.#pool.acquireSync(UNIT);
    buffer.bytes.fill(value);
    return buffer;
  }
}

/** Returns the code of the error of a task. */
function* caught(task: Task<unknown>): Task<unknown> {
  try {
    yield* task;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

/** Returns names and contents of the files in a directory. */
function contents(subject: Subject, root: string): unknown {
  const { storage, pool } = subject;
  return storage.listSync(root).filter((each) => each.isFile).map(
    ({ name }) => {
      const file = storage.openSync(`${root}/${name}`);
      const size = file.sizeSync();
      using buffer = pool.acquireSync(8 * UNIT, { zeroed: true });
      const read = file.readSync(buffer, 0);
      const heads = [];
      for (let at = 0; at < Math.min(read, size); at += UNIT) {
        heads.push(buffer.bytes[at]);
      }
      file.closeSync();
      return [name, size, heads];
    },
  );
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

for (const kind of SUBJECTS) {
  Deno.test(`Driver.finishSync() at any moment of a task of writes on ${kind.name}`, async () => {
    const isReal = DISKS.includes(kind);
    for (let seed = 0; seed < (isReal ? 12 : 60); seed++) {
      const plans = planned(new SeededRandom(seed));
      using expected = kind.make("sync");
      const results = driveSync(
        new Program(expected.storage, expected.root, expected.pool).run(plans),
      );
      const there = contents(expected, expected.root);
      for (let moment = 0;; moment++) {
        using subject = kind.make("async");
        const { storage, root, pool } = subject;
        const driver = new Driver(new Program(storage, root, pool).run(plans));
        let isOver = false;
        driver.promise.then(() => isOver = true);
        for (let i = 0; i < moment && !isOver; i++) await turn();
        const wasOver = isOver;
        assertEquals(driver.finishSync(), results);
        assertEquals(contents(subject, root), there);
        assertEquals(await driver.promise, results);
        if (storage instanceof SimulatedDisk) {
          const kinds = (disk: Storage) =>
            (disk as SimulatedDisk).trace.map(({ kind, path }) =>
              `${kind} ${path}`
            );
          const isInOrder = plans.every(({ op }) => op !== "together");
          const [left, right] = [kinds(storage), kinds(expected.storage)];
          assertEquals(
            isInOrder ? left : left.toSorted(),
            isInOrder ? right : right.toSorted(),
          );
        }
        if (wasOver) break;
      }
    }
  });

  Deno.test(`isIdle() and freeBytes() of ${kind.name}`, async () => {
    using subject = kind.make("sync");
    const { storage, root, pool } = subject;
    const opened = storage.openSync(`${root}/a`, {
      write: true,
      createNew: true,
    });
    const file = new TaskFile(opened);
    assertEquals(storage.isIdle!(), true);
    const free = file.freeBytes()!;
    assert(free > 0 && Number.isSafeInteger(free));
    using buffer = pool.acquireSync(UNIT, { zeroed: true });
    const writing = opened.write(buffer, 0);
    assertEquals(storage.isIdle!(), false);
    await writing;
    assertEquals(storage.isIdle!(), true);
    if (storage instanceof SimulatedDisk) {
      assertEquals(file.freeBytes(), free - UNIT);
      storage.mayWaitInPlace = false;
      assertEquals(storage.isIdle(), false);
    }
    opened.closeSync();
    assertThrows(() => file.freeBytes(), Deno.errors.BadResource);
  });
}

for (const kind of [...DISKS.slice(0, 1), SUBJECTS.at(-1)!]) {
  Deno.test(`OverlayStorage over ${kind.name} allows tasks to be finished`, async () => {
    using subject = kind.make("sync");
    const { storage, root, pool } = subject;
    const below = storage.openSync(`${root}/a`, {
      write: true,
      createNew: true,
    });
    using buffer = pool.acquireSync(UNIT);
    buffer.bytes.fill(7);
    below.writeSync(buffer, 0);
    const overlay = new OverlayStorage(new TaskStorage(storage), () => false);
    assertEquals(overlay.isIdle(), true);
    const file = driveSync(overlay.open(`${root}/a`));
    // Other programs use the filesystem, too.
    assert(Math.abs(file.freeBytes()! - below.freeBytes!()!) < 2 ** 32);
    const driver = new Driver((function* (): Task<number> {
      yield* file.read(buffer, 0);
      yield* overlay.syncDirectory();
      yield* file.write(buffer, UNIT);
      const size = yield* file.size();
      yield* file.close();
      return size;
    })());
    assertEquals(overlay.isIdle(), false);
    assertEquals(driver.finishSync(), 2 * UNIT);
    assertEquals(await driver.promise, 2 * UNIT);
    below.closeSync();
  });
}

/** Passes everything on, and therefore has no tasks of its own. */
class Foreign extends PassingStorage {
  protected override wrap(file: StorageFile): StorageFile {
    return new PassingFile(file);
  }
}

for (const kind of SUBJECTS) {
  Deno.test(`TaskStorage of another implementation over ${kind.name} runs with promises`, async () => {
    using subject = kind.make("async");
    const { root, pool } = subject;
    const storage = new TaskStorage(new Foreign(subject.storage));
    const options: StorageOpenOptions = { write: true, createNew: true };
    const file = driveSync(storage.openNow(`${root}/a`, options));
    using buffer = pool.acquireSync(UNIT, { zeroed: true });
    const driver = new Driver(together<unknown>([
      file.write(buffer, 0),
      storage.syncDirectory(root),
    ]));
    assertThrows(
      () => driver.finishSync(),
      TypeError,
      "'write', runs with a promise only",
    );
    assertEquals(
      (await driver.promise).map(({ status }) => status),
      ["fulfilled", "fulfilled"],
    );
    // Opening in the background is not part of the path of a write.
    const opening = new Driver(storage.open(`${root}/a`));
    assertThrows(() => opening.finishSync(), TypeError, "'open'");
    driveSync((await opening.promise).close());
    driveSync(file.close());
  });
}

Deno.test("StorageFile.settleSync() settles calls that wait for a task", async () => {
  for (const kind of SUBJECTS) {
    using subject = kind.make("async");
    const { storage, root, pool } = subject;
    const file = new TaskFile(
      storage.openSync(`${root}/a`, { write: true, createNew: true }),
    );
    using buffer = pool.acquireSync(UNIT, { zeroed: true });
    using other = pool.acquireSync(UNIT, { zeroed: true });
    // The continuation of one task finishes another one.
    const second = new Driver(file.write(other, UNIT));
    const first = new Driver((function* (): Task<number> {
      const written = yield* file.write(buffer, 0);
      return written + second.finishSync() + (yield* file.write(buffer, 0));
    })());
    file.settleSync();
    assertEquals(await second.promise, UNIT);
    assertEquals(await first.promise, 3 * UNIT);
    driveSync(file.close());
  }
});
