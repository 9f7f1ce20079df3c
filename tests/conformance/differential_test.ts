/**
 * Random sequences of async and sync calls: a simulated disk gives the same results as a real one,
 * including the text of messages.
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { StorageFile } from "../../lib/storage/mod.ts";
import {
  type Answer,
  answerOf,
  DISKS,
  type Mode,
  MODES,
  simulatedLike,
  type Subject,
} from "./_subject.ts";

const UNIT = 4096;

/** A call. `file` selects one of the open handles. */
type Call =
  | { call: "open"; path: string; options: Record<string, boolean> }
  | { call: "rename"; path: string; to: string }
  | {
    call: "remove" | "list" | "makeDirectory" | "syncDirectory" | "lock";
    path: string;
  }
  | {
    call: "read" | "write";
    file: number;
    position: number;
    start: number;
    length: number | undefined;
    value: number;
    durability: "none" | "data";
  }
  | { call: "truncate"; file: number; length: number }
  | { call: "preallocate"; file: number; position: number; length: number }
  | { call: "size" | "sync" | "close"; file: number };

const path = fc.constantFrom(
  "a",
  "b",
  "d",
  "d/a",
  "d/b",
  "d/e",
  "d/e/f",
  "a/x",
  "n/x",
);
const file = fc.nat(3);
const position = fc.oneof(
  { weight: 6, arbitrary: fc.nat(6).map((unit) => unit * UNIT) },
  { weight: 2, arbitrary: fc.nat(20).map((sector) => sector * 512) },
  fc.integer({ min: -1, max: 5 * UNIT }),
);
const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 4 }).map((n) => n * UNIT) },
  { weight: 2, arbitrary: fc.nat(9).map((sector) => sector * 512) },
  fc.integer({ min: -1, max: 5 * UNIT }),
);

const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      call: fc.constant("open" as const),
      path,
      options: fc.oneof(
        { weight: 4, arbitrary: fc.constant({ write: true, create: true }) },
        fc.record({
          read: fc.boolean(),
          write: fc.boolean(),
          create: fc.boolean(),
          createNew: fc.boolean(),
        }),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      call: fc.constant("rename" as const),
      path,
      to: path,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      call: fc.constantFrom(
        "remove" as const,
        "list" as const,
        "makeDirectory" as const,
        "syncDirectory" as const,
        "lock" as const,
      ),
      path: fc.oneof(path, fc.constant(".")),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      call: fc.constantFrom("read" as const, "write" as const),
      file,
      position,
      start: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        fc.constantFrom(1, 512, UNIT, 2 * UNIT, 4 * UNIT),
      ),
      length: fc.option(length, { nil: undefined }),
      value: fc.integer({ min: 1, max: 255 }),
      durability: fc.constantFrom("none" as const, "data" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      call: fc.constant("truncate" as const),
      file,
      length: position,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      call: fc.constant("preallocate" as const),
      file,
      position,
      length,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      call: fc.constantFrom("size" as const, "sync" as const, "close" as const),
      file,
    }),
  },
);

/** Makes the calls. Returns the results, and the bytes of every file at the end. */
async function answers(
  subject: Subject,
  calls: readonly Call[],
): Promise<Answer[]> {
  const { storage, root } = subject;
  const files: StorageFile[] = [];
  const given: Answer[] = [];
  for (const each of calls) {
    const answer = await answerTo(each);
    if (answer !== undefined) given.push(answer);
  }
  for (const each of files) await subject.call(each, "close");
  for (const directory of [root, `${root}/d`]) {
    const entries = await subject.ask(storage, "list", directory);
    given.push(entries);
    if ("error" in entries) continue;
    for (const { name, isFile } of entries.value) {
      if (isFile) given.push({ value: await contents(`${directory}/${name}`) });
    }
  }
  return given;

  async function answerTo(each: Call): Promise<Answer | undefined> {
    if (each.call === "open") {
      const where = `${root}/${each.path}`;
      const opened = await subject.ask(storage, "open", where, each.options);
      if ("error" in opened) return opened;
      files.push(opened.value);
      return { value: opened.value.path };
    }
    if (each.call === "rename") {
      // A simulated disk does not rename directories.
      const from = await subject.ask(storage, "list", `${root}/${each.path}`);
      if ("value" in from) return undefined;
      return await subject.ask(
        storage,
        "rename",
        `${root}/${each.path}`,
        `${root}/${each.to}`,
      );
    }
    if ("path" in each) {
      const where = each.path === "." ? root : `${root}/${each.path}`;
      if (each.call === "remove" && each.path === ".") return undefined;
      if (each.call !== "lock") {
        return await subject.ask(storage, each.call, where);
      }
      return await answerOf(() => {
        const lock = storage.lock(where);
        const second = lock && storage.lock(where);
        lock?.release();
        return [lock !== undefined, second];
      });
    }
    if (files.length === 0) return undefined;
    const handle = files[each.file % files.length]!;
    switch (each.call) {
      case "truncate":
        return await subject.ask(handle, "truncate", each.length);
      case "preallocate":
        return await subject.ask(
          handle,
          "preallocate",
          each.position,
          each.length,
        );
      case "read":
      case "write": {
        using buffer = subject.pool.acquireSync(5 * UNIT);
        buffer.bytes.fill(each.value);
        const range = {
          start: each.start,
          durability: each.durability,
          ...(each.length === undefined ? {} : { length: each.length }),
        };
        const answer = await subject.ask(
          handle,
          each.call,
          buffer,
          each.position,
          range,
        );
        if ("error" in answer || each.call === "write") return answer;
        const end = each.start + answer.value;
        return { value: [...buffer.bytes.slice(each.start, end)] };
      }
      default:
        return await subject.ask(handle, each.call);
    }
  }

  async function contents(where: string): Promise<number[]> {
    const found = await subject.call(storage, "open", where, {});
    using buffer = subject.pool.acquireSync(16 * UNIT);
    const count = await subject.call(found, "read", buffer, 0);
    await subject.call(found, "close");
    return [...buffer.bytes.slice(0, count)];
  }
}

for (const kind of DISKS) {
  for (const mode of MODES) {
    Deno.test(`SimulatedDisk gives the results of ${kind.name}, ${mode}`, () =>
      compare(kind.make, mode));
  }
}

async function compare(
  make: (mode: Mode) => Subject,
  mode: Mode,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { minLength: 1, maxLength: 25, size: "max" }),
      async (calls) => {
        using disk = make(mode);
        using simulated = simulatedLike(disk, mode);
        const expected = await answers(disk, calls);
        assertEquals(await answers(simulated, calls), expected);
      },
    ),
    { numRuns: 120 },
  );
}
