/**
 * Random sequences of operations and power cuts, compared with the naive disk, and checked against
 * the rule on which programs rely.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BufferPool } from "../../lib/pool/mod.ts";
import {
  SimulatedDisk,
  type SimulatedFile,
  type UnsyncedUnit,
} from "../../lib/testing/mod.ts";
import { NaiveDisk, type NaiveFile, type UnitKey } from "./_naive_disk.ts";

const BLOCK = 16;
const SECTOR = 4;
const PATHS = ["/a", "/b", "/d/a", "/d/b"];

type Action =
  | {
    what: "write";
    file: number;
    sector: number;
    sectors: number;
    outcome: "lost" | "durable" | "failed";
  }
  | { what: "truncate"; file: number; length: number }
  | {
    what: "preallocate";
    file: number;
    position: number;
    length: number;
    zeroed: boolean;
  }
  | { what: "sync"; file: number; fails: boolean }
  | { what: "create" | "remove"; path: string }
  | { what: "rename"; path: string; to: string }
  | { what: "syncDirectory"; path: string; fails: boolean };

const file = fc.nat(3);
const path = fc.constantFrom(...PATHS);
const fails = fc.integer({ min: 0, max: 5 }).map((n) => n === 0);
const length = fc.nat(5 * BLOCK);

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constant("write" as const),
      file,
      sector: fc.nat(15),
      sectors: fc.integer({ min: 1, max: 10 }),
      outcome: fc.constantFrom(
        "lost" as const,
        "lost" as const,
        "durable" as const,
        "failed" as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("truncate" as const),
      file,
      length,
    }),
  },
  fc.record({
    what: fc.constant("preallocate" as const),
    file,
    position: length,
    length: fc.integer({ min: 1, max: 2 * BLOCK }),
    zeroed: fc.boolean(),
  }),
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant("sync" as const), file, fails }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constantFrom(
        "create" as const,
        "create" as const,
        "remove" as const,
      ),
      path,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("rename" as const),
      path,
      to: path,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("syncDirectory" as const),
      path: fc.constantFrom("/", "/d"),
      fails,
    }),
  },
);

/** A disk, and the naive one beside it. */
class Run {
  readonly disk = new SimulatedDisk({
    blockBytes: BLOCK,
    offsetAlignment: SECTOR,
    memoryAlignment: 1,
    writesZeros: true,
  });
  readonly naive = new NaiveDisk(BLOCK);
  readonly handles: { file: SimulatedFile; naive: NaiveFile }[] = [];
  readonly #pool: BufferPool;
  #value = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
    this.disk.makeDirectorySync("/d");
  }

  act(action: Action): void {
    switch (action.what) {
      case "create": {
        if (this.naive.file(action.path) !== undefined) return;
        const options = { write: true, createNew: true };
        const file = this.disk.openSync(action.path, options);
        this.naive.create(action.path);
        const naive = this.naive.file(action.path)!;
        this.handles.push({ file, naive });
        return;
      }
      case "remove":
        if (this.naive.file(action.path) === undefined) return;
        this.disk.removeSync(action.path);
        return this.naive.remove(action.path);
      case "rename":
        if (this.naive.file(action.path) === undefined) return;
        this.disk.renameSync(action.path, action.to);
        return this.naive.rename(action.path, action.to);
      case "syncDirectory":
        this.#maybe(action.fails, () => {
          this.disk.syncDirectorySync(action.path);
        });
        return this.naive.syncDirectory(action.path, action.fails);
    }
    if (this.handles.length === 0) return;
    const { file, naive } = this.handles[action.file % this.handles.length]!;
    switch (action.what) {
      case "write": {
        const position = action.sector * SECTOR;
        const length = action.sectors * SECTOR;
        const value = this.#value = this.#value % 255 + 1;
        using buffer = this.#pool.acquireSync(4096);
        buffer.bytes.fill(value);
        const durability = action.outcome === "durable" ? "data" : "none";
        this.#maybe(action.outcome === "failed", () => {
          file.writeSync(buffer, position, { length, durability });
        });
        return this.naive.write(naive, position, length, value, action.outcome);
      }
      case "truncate":
        file.truncateSync(action.length);
        return this.naive.truncate(naive, action.length);
      case "preallocate":
        return this.#preallocate(file, naive, action);
      case "sync":
        this.#maybe(action.fails, () => file.syncSync());
        return this.naive.sync(naive, action.fails);
    }
  }

  /** In a power cut, zeros that the device writes behave like a write of zeros. */
  #preallocate(
    file: SimulatedFile,
    naive: NaiveFile,
    { position, length, zeroed }: Action & { what: "preallocate" },
  ): void {
    assertEquals(file.preallocateSync(position, length, { zeroed }), zeroed);
    if (zeroed) this.naive.write(naive, position, length, 0, "lost");
    else this.naive.preallocate(naive, position, length);
  }

  /** Runs an operation that fails with EIO, or does not. */
  #maybe(fails: boolean, run: () => void): void {
    if (!fails) return run();
    const remove = this.disk.onOperation(() => ({ error: "EIO" }));
    try {
      run();
    } catch (error) {
      assertEquals((error as { code?: string }).code, "EIO");
      return;
    } finally {
      remove();
    }
    throw new Error("the fault was not seen");
  }
}

/**
 * Returns a choice that depends on the properties of a unit, so that the naive disk chooses the
 * same.
 */
function byKey(salt: number): (key: UnitKey) => boolean {
  return ({ kind, path, to, position, length }) => {
    const named = ["create", "rename", "remove"].includes(kind);
    const text = [salt, kind, named ? path : "", to, position, length].join();
    let hash = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
    return (hash ^ hash >>> 15) % 2 === 0;
  };
}

function bytesOf(disk: SimulatedDisk): Record<string, number[]> {
  return Object.fromEntries(
    [...disk.snapshot()].map(([path, bytes]) => [path, [...bytes]]),
  );
}

Deno.test("SimulatedDisk leaves the same as the naive disk after a crash, for every choice", () => {
  using pool = new BufferPool();
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 40, size: "max" }),
      fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
      (actions, salts) => {
        const run = new Run(pool);
        for (const each of actions) run.act(each);
        const { disk, naive } = run;
        const chosen = (choose: (key: UnitKey) => boolean) =>
          bytesOf(disk.crashState((unit: UnsyncedUnit) => choose(unit)));
        for (const salt of salts) {
          assertEquals(chosen(byKey(salt)), naive.after(byKey(salt)));
        }
        assertEquals(
          bytesOf(disk.crashState("none")),
          naive.after(() => false),
        );
        assertEquals(bytesOf(disk.crashState("all")), chosen(() => true));
        // A killed process leaves everything written, and what was unsynced stays unsynced.
        const killed = run.disk.kill();
        assertEquals(bytesOf(killed), bytesOf(disk));
        assertEquals(
          bytesOf(killed.crashState((unit) => byKey(1)(unit))),
          naive.after(byKey(1)),
        );
        for (const { file } of run.handles) file.closeSync();
      },
    ),
    { numRuns: 600 },
  );
});

Deno.test("SimulatedDisk has the synced byte or one of a later write at each position, in all crash states", () => {
  using pool = new BufferPool();
  using block = pool.acquireSync(4096);
  const step = fc.record({
    what: fc.constantFrom("write", "write", "durable", "truncate", "sync"),
    sector: fc.nat(10),
    sectors: fc.integer({ min: 1, max: 5 }),
  });
  let states = 0;
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 10, size: "max" }),
      fc.nat(),
      (steps, seed) => {
        const disk = new SimulatedDisk({
          seed,
          blockBytes: BLOCK,
          offsetAlignment: SECTOR,
        });
        disk.poke("/a", 0, new Uint8Array(0));
        using file = disk.openSync("/a", { write: true });
        /** The possible values of each byte, if the file is as long, and the possible sizes. */
        let bytes = Array.from({ length: 64 }, () => new Set([0]));
        let sizes = new Set([0]);
        steps.forEach(({ what, sector, sectors }, i) => {
          const position = sector * SECTOR;
          const length = sectors * SECTOR;
          const end = position + length;
          if (what === "sync") {
            file.syncSync();
            const now = disk.peek("/a");
            bytes = bytes.map((_, at) => new Set([now[at] ?? 0]));
            sizes = new Set([now.length]);
          } else if (what === "truncate") {
            file.truncateSync(position);
            for (const each of bytes.slice(position)) each.add(0);
            sizes.add(position);
          } else {
            block.bytes.fill(i + 1);
            const durability = what === "durable" ? "data" : "none";
            file.writeSync(block, position, { length, durability });
            const grown = [...sizes].map((size) => Math.max(size, end));
            if (durability === "data") sizes = new Set(grown);
            else for (const size of grown) sizes.add(size);
            for (let at = position; at < end; at++) {
              if (durability === "data") bytes[at] = new Set([i + 1]);
              else bytes[at]!.add(i + 1);
            }
          }
        });
        const count = disk.unsyncedUnits().length;
        const all = count <= 8;
        for (let mask = 0; mask < (all ? 1 << count : 64); mask++) {
          states++;
          const left = disk.crash(all ? BigInt(mask) : "random").peek("/a");
          assert(sizes.has(left.length), `size ${left.length}`);
          left.forEach((byte, at) =>
            assert(bytes[at]!.has(byte), `byte ${at} is ${byte}`)
          );
        }
      },
    ),
    { numRuns: 300 },
  );
  console.log(`${states} states`);
});
