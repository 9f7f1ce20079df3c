/**
 * A log whose directory is moved or replaced, or whose files are removed, while it is written:
 * docs/format.md#open-directory, docs/format.md#write-names.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Log, LogReader, verifyLogSync } from "../../../lib/log/mod.ts";
import { PoisonedError } from "../../../lib/segment/mod.ts";
import type {
  Storage,
  StorageFile,
  StorageOpenOptions,
} from "../../../lib/storage/mod.ts";
import { FILES } from "../../permissions.ts";
import { PassingStorage } from "../_passing_storage.ts";
import {
  at,
  DiskPlace,
  faultsOfClosed,
  KIB,
  SimulatedPlace,
} from "../_support.ts";

const OPTIONS = { segmentBytes: 4 * KIB, prepareBytes: 0, tailBytes: 0 };
const PAYLOAD = new Uint8Array(3000);

/** Writes two sealed segments and the active one. */
async function threeSegments(dir: string, place: DiskPlace): Promise<Log> {
  const log = await Log.open(dir, { ...place, ...OPTIONS });
  for (let i = 0; i < 3; i++) await log.appendDurable(PAYLOAD);
  return log;
}

/** Returns the files of a directory with their bytes. */
function contents(dir: string): Record<string, string> {
  return Object.fromEntries(
    [...Deno.readDirSync(dir)].map(({ name }) =>
      [name, Deno.readFileSync(`${dir}/${name}`).toHex()] as const
    ).sort(([a], [b]) => a < b ? -1 : 1),
  );
}

/** How a test makes a log's path lead elsewhere. */
const MOVES: Record<string, (dir: string, other: string) => void> = {
  "was renamed": (dir) => Deno.renameSync(dir, `${dir}.moved`),
  "was replaced by another log": (dir, other) => {
    Deno.renameSync(dir, `${dir}.moved`);
    Deno.renameSync(other, dir);
  },
  "was replaced by a copy of it": (dir) => {
    Deno.renameSync(dir, `${dir}.moved`);
    Deno.mkdirSync(dir);
    for (const { name } of Deno.readDirSync(`${dir}.moved`)) {
      Deno.copyFileSync(`${dir}.moved/${name}`, `${dir}/${name}`);
    }
  },
};

for (const [what, move] of Object.entries(MOVES)) {
  Deno.test(
    `Log changes nothing at the path when its directory ${what}, and says so`,
    {
      ignore: !FILES,
    },
    () =>
      at(new DiskPlace(), async (place) => {
        const [dir, other] = [`${place.dir}/a`, `${place.dir}/b`];
        const log = await threeSegments(dir, place);
        await (await threeSegments(other, place)).close();
        move(dir, other);
        let before = "";
        try {
          before = JSON.stringify(contents(dir));
        } catch (error) {
          assert(error instanceof Deno.errors.NotFound);
        }
        const isMoved = [Deno.errors.BadResource, "moved or replaced"] as const;
        await assertRejects(() => log.truncateBefore(2), ...isMoved);
        await assertRejects(() => Array.fromAsync(log.read()), ...isMoved);
        // The log must roll.
        const error = await assertRejects(
          () => log.appendDurable(PAYLOAD),
          PoisonedError,
        );
        assert(
          /moved or replaced/.test(String(error.cause)),
          String(error.cause),
        );
        await assertRejects(() => log.close());
        if (before !== "") assertEquals(JSON.stringify(contents(dir)), before);
        // Everything acknowledged is in the directory that was moved.
        const reader = new LogReader(`${dir}.moved`, place);
        assertEquals(
          (await Array.fromAsync(reader.read(), (batch) => {
            const { count } = batch;
            batch.drop();
            return count;
          })).length,
          3,
        );
      }),
  );
}

Deno.test(
  "Log.close() leaves the owner file of the directory that took its place",
  {
    ignore: !FILES,
  },
  () =>
    at(new DiskPlace(), async (place) => {
      const dir = `${place.dir}/a`;
      const log = await Log.open(dir, { ...place, ...OPTIONS });
      MOVES["was replaced by a copy of it"]!(dir, "");
      await assertRejects(() => log.close(), Error, "moved");
      assert([...Deno.readDirSync(dir)].some(({ name }) => name === "writer"));
    }),
);

Deno.test(
  "Log of a relative path stays with its directory after Deno.chdir()",
  {
    ignore: !FILES,
  },
  () =>
    at(new DiskPlace(), async (place) => {
      const before = Deno.cwd();
      Deno.mkdirSync(`${place.dir}/elsewhere`);
      try {
        Deno.chdir(place.dir);
        const opening = Log.open("log", { ...place, ...OPTIONS });
        Deno.chdir("elsewhere");
        const log = await opening;
        const reader = new LogReader(log.path, place);
        for (let i = 0; i < 4; i++) await log.appendDurable(PAYLOAD);
        await log.truncateBefore(2);
        await log.close();
        assertEquals([...verifyLogSync(`${place.dir}/log`, place)], []);
        for await (using batch of reader.read()) assertEquals(batch.count, 1);
      } finally {
        Deno.chdir(before);
      }
      assertEquals([...Deno.readDirSync(`${place.dir}/elsewhere`)], []);
    }),
);

/** Does something once, before it opens the first file for which `isIt` holds. */
class OpeningHook extends PassingStorage {
  readonly #isIt: (path: string) => boolean;
  #run: (() => void) | undefined;

  constructor(
    inner: Storage,
    isIt: (path: string) => boolean,
    run: () => void,
  ) {
    super(inner);
    this.#isIt = isIt;
    this.#run = run;
  }

  override async open(
    path: string,
    options?: StorageOpenOptions,
  ): Promise<StorageFile> {
    this.#pass(path);
    return await super.open(path, options);
  }

  override openSync(path: string, options?: StorageOpenOptions): StorageFile {
    this.#pass(path);
    return super.openSync(path, options);
  }

  #pass(path: string): void {
    const run = this.#run;
    if (run === undefined || !this.#isIt(path)) return;
    this.#run = undefined;
    run();
  }
}

for (const state of ["closed", "not closed", "new"]) {
  for (const mode of ["async", "sync"]) {
    Deno.test(
      `Log.open() of a log that is ${state} changes nothing where the directory is replaced after it was locked, ${mode}`,
      {
        ignore: !FILES,
      },
      () =>
        at(new DiskPlace(), async (place) => {
          const [dir, other] = [`${place.dir}/a`, `${place.dir}/b`];
          if (state === "new") Deno.mkdirSync(dir);
          else await (await threeSegments(dir, place)).close();
          await (await threeSegments(other, place)).close();
          // Garbage that a recovery would cut, and names that an opening removes.
          const last = `${dir}/00000000000000000002.log`;
          if (state === "not closed") {
            Deno.writeFileSync(last, new Uint8Array(100).fill(7), {
              append: true,
            });
            Deno.writeFileSync(`${dir}/writer`, new Uint8Array(4096));
          }
          for (const each of [dir, other]) {
            Deno.writeFileSync(`${each}/new.tmp`, new Uint8Array(1));
          }
          const copied = `${place.dir}/copied`;
          Deno.mkdirSync(copied);
          for (const { name } of Deno.readDirSync(dir)) {
            Deno.copyFileSync(`${dir}/${name}`, `${copied}/${name}`);
          }
          for (const successor of [copied, other]) {
            const before = [contents(dir), contents(successor)];
            const move = (): void => {
              Deno.renameSync(dir, `${dir}.moved`);
              Deno.renameSync(successor, dir);
            };
            const storage = new OpeningHook(
              place.storage,
              // A new log has no file yet. After its first file it is too late.
              (path) => path.startsWith(`${dir}/`),
              move,
            );
            if (state === "new") {
              const list = storage.listSync.bind(storage);
              storage.listSync = (path) => {
                const found = list(path);
                if (path === dir) move();
                return found;
              };
              storage.list = (path) => Promise.resolve(storage.listSync(path));
            }
            const options = { ...OPTIONS, storage, pool: place.pool };
            const error = mode === "sync"
              ? assertThrows(() => Log.openSync(dir, options))
              : await assertRejects(() => Log.open(dir, options));
            assert(error instanceof Deno.errors.BadResource, String(error));
            assert(/open log .* moved or replaced/.test(error.message));
            assertEquals([contents(`${dir}.moved`), contents(dir)], before);
            Deno.renameSync(dir, successor);
            Deno.renameSync(`${dir}.moved`, dir);
          }
        }),
    );
  }
}

/** What another program does to the files of a log that is being written. */
const REMOVALS: Record<string, (dir: string) => void> = {
  "all its files are removed": (dir) => {
    for (const { name } of Deno.readDirSync(dir)) {
      Deno.removeSync(`${dir}/${name}`);
    }
  },
  "its directory is removed": (dir) =>
    Deno.removeSync(dir, { recursive: true }),
  "its '.log' is removed": (dir) =>
    Deno.removeSync(`${dir}/00000000000000000000.log`),
  "its '.log' is replaced": (dir) => {
    Deno.writeFileSync(`${dir}/new`, new Uint8Array(8192));
    Deno.renameSync(`${dir}/new`, `${dir}/00000000000000000000.log`);
  },
};

for (const [what, remove] of Object.entries(REMOVALS)) {
  Deno.test(`Log is poisoned within a second of writing when ${what}`, {
    ignore: !FILES,
  }, () =>
    at(new DiskPlace(), async (place) => {
      const dir = `${place.dir}/log`;
      const log = await Log.open(dir, place);
      await log.appendDurable("a");
      remove(dir);
      const start = performance.now();
      const error = await assertRejects(async () => {
        for (;;) {
          await log.appendDurable("b");
          assert(performance.now() - start < 5000, "still acknowledged");
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }, PoisonedError);
      assert(/removed, moved or replaced/.test(String(error.cause)));
      assert(performance.now() - start < 2500);
      await assertRejects(() => log.close(), PoisonedError);
    }));

  Deno.test(
    `Log.closeSync() fails when ${what}`,
    { ignore: !FILES },
    () =>
      at(new DiskPlace(), async (place) => {
        const dir = `${place.dir}/log`;
        const log = await Log.open(dir, place);
        await log.appendDurable("a");
        remove(dir);
        assertThrows(() => log.closeSync(), PoisonedError);
      }),
  );
}

Deno.test("Log checks the names of its files at a checkpoint and at a roll", async () => {
  for (const reason of ["checkpoint", "roll"]) {
    await at(new SimulatedPlace(), async (place) => {
      const log = await Log.open(place.dir, {
        ...place,
        ...reason === "roll" ? OPTIONS : {},
        flushAfterMs: 0,
      });
      await log.appendDurable(PAYLOAD);
      place.storage.removeSync(`${place.dir}/00000000000000000000.log`);
      // The clock of the simulated disk hardly advances.
      const big = new Uint8Array(reason === "roll" ? 3000 : 5_000_000);
      await assertRejects(async () => {
        for (let i = 0; i < 5; i++) await log.appendDurable(big);
      }, PoisonedError);
      await assertRejects(() => log.close(), PoisonedError);
    });
  }
});

Deno.test("Log.truncateBefore() succeeds when the segments are already removed", () =>
  at(new SimulatedPlace(), async (place) => {
    const log = await Log.open(place.dir, { ...place, ...OPTIONS });
    for (let i = 0; i < 4; i++) await log.appendDurable(PAYLOAD);
    for (const kind of ["log", "index"]) {
      place.storage.removeSync(`${place.dir}/00000000000000000001.${kind}`);
    }
    assertEquals(await log.truncateBefore(3), 3);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  }));

for (const mode of ["async", "sync"]) {
  Deno.test(`Log.close() succeeds when the owner file is already removed, ${mode}`, () =>
    at(new SimulatedPlace(), async (place) => {
      const log = await Log.open(place.dir, { ...place, ...OPTIONS });
      for (let i = 0; i < 4; i++) await log.appendDurable(PAYLOAD);
      place.storage.removeSync(`${place.dir}/writer`);
      for (let i = 0; i < 4; i++) await log.appendDurable(PAYLOAD);
      if (mode === "sync") log.closeSync();
      else await log.close();
      assertEquals(faultsOfClosed(place), []);
    }));
}
