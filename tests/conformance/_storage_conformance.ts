/** The behaviours of every storage on which higher rooms rely. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import type { StorageFile, StorageOpenOptions } from "../../lib/storage/mod.ts";
import { type Answer, answerOf, type Subject } from "./_subject.ts";

/** A statement that holds for every storage, and its proof. */
export interface Behaviour {
  readonly name: string;
  /** Throws if the subject does not behave this way. */
  prove(subject: Subject): Promise<void>;
}

const UNIT = 4096;

/** Returns the part of a result that identifies an error. */
function named(answer: Answer): unknown {
  if ("value" in answer) return answer;
  const { error, code, syscall, path } = answer;
  return { error, code, syscall, path };
}

/** Returns a system error in the form of {@linkcode named}. */
function failed(
  error: string,
  code: string,
  syscall: string,
  path: string,
): unknown {
  return { error, code, syscall, path };
}

/** Opens a file for reading and writing, and creates it unless told otherwise. */
function open(
  subject: Subject,
  name: string,
  options: StorageOpenOptions = { write: true, create: true },
): Promise<StorageFile> {
  const { storage, root } = subject;
  return subject.call(storage, "open", `${root}/${name}`, options);
}

/** Creates an empty file. */
async function make(subject: Subject, name: string): Promise<void> {
  await subject.call(await open(subject, name), "close");
}

/** Writes bytes of one value. */
async function fill(
  subject: Subject,
  file: StorageFile,
  position: number,
  length: number,
  value: number,
): Promise<void> {
  using buffer = subject.pool.acquireSync(length);
  buffer.bytes.fill(value);
  assertEquals(
    await subject.call(file, "write", buffer, position),
    length,
  );
}

/** Reads whole units, and leaves out what was not read. */
async function read(
  subject: Subject,
  file: StorageFile,
  position: number,
  length: number,
): Promise<Uint8Array> {
  using buffer = subject.pool.acquireSync(length);
  buffer.bytes.fill(0xee);
  const count = await subject.call(file, "read", buffer, position);
  return buffer.bytes.slice(0, count);
}

/** Returns runs of equal bytes: value and count. */
function runs(bytes: Uint8Array): [number, number][] {
  const found: [number, number][] = [];
  for (const byte of bytes) {
    const last = found.at(-1);
    if (last?.[0] === byte) last[1]++;
    else found.push([byte, 1]);
  }
  return found;
}

async function names(subject: Subject, path: string): Promise<string[]> {
  const entries = await subject.call(subject.storage, "list", path);
  return entries.map(({ name, isFile, isDirectory }) => {
    assertEquals(isFile, !isDirectory);
    return isDirectory ? `${name}/` : name;
  });
}

export const BEHAVIOURS: readonly Behaviour[] = [
  {
    name:
      "open creates a file only when asked, and createNew refuses an existing one",
    async prove(subject) {
      const { storage, root } = subject;
      const path = `${root}/a`;
      const missing = failed("NotFound", "ENOENT", "open", path);
      assertEquals(
        named(await subject.ask(storage, "open", path, {})),
        missing,
      );
      assertEquals(
        named(await subject.ask(storage, "open", path, { write: true })),
        missing,
      );
      const made = await open(subject, "a", { write: true, createNew: true });
      assertEquals(made.path, path);
      assertEquals(await subject.call(made, "size"), 0);
      await subject.call(made, "close");
      assertEquals(
        named(
          await subject.ask(storage, "open", path, {
            write: true,
            createNew: true,
          }),
        ),
        failed("AlreadyExists", "EEXIST", "open", path),
      );
      await make(subject, "a");
      assertEquals(await names(subject, root), ["a"]);
    },
  },
  {
    name: "open refuses directories and missing parents",
    async prove(subject) {
      const { storage, root } = subject;
      await make(subject, "file");
      const ask = async (path: string, options: StorageOpenOptions) =>
        named(await subject.ask(storage, "open", path, options));
      const create = { write: true, create: true };
      assertEquals(
        await ask(root, {}),
        failed("IsADirectory", "EISDIR", "open", root),
      );
      assertEquals(
        await ask(root, create),
        failed("IsADirectory", "EISDIR", "open", root),
      );
      assertEquals(
        await ask(root, { write: true, createNew: true }),
        failed("AlreadyExists", "EEXIST", "open", root),
      );
      assertEquals(
        await ask(`${root}/no/a`, create),
        failed("NotFound", "ENOENT", "open", `${root}/no/a`),
      );
      assertEquals(
        await ask(`${root}/file/a`, create),
        failed("NotADirectory", "ENOTDIR", "open", `${root}/file/a`),
      );
      const long = `${root}/${"x".repeat(256)}`;
      for (const options of [{}, create]) {
        assertEquals(
          await ask(long, options),
          failed("Error", "ENAMETOOLONG", "open", long),
        );
      }
    },
  },
  {
    name: "open refuses contradicting options and paths with a NUL byte",
    async prove(subject) {
      const { storage, root } = subject;
      const path = `${root}/a`;
      const wrong: [string, StorageOpenOptions][] = [
        [path, { create: true }],
        [path, { createNew: true }],
        [path, { read: false }],
        [path, { write: 1 as unknown as true }],
        [`${root}/\0`, {}],
      ];
      for (const [where, options] of wrong) {
        const answer = await subject.ask(storage, "open", where, options);
        assertEquals("error" in answer && answer.error, "TypeError");
      }
      const answer = await subject.ask(storage, "open", path, {
        write: true,
        create: true,
        mode: 0o10000,
      });
      assertEquals("error" in answer && answer.error, "RangeError");
      assertEquals(await names(subject, root), []);
    },
  },
  {
    name:
      "a read returns what was written; gaps are zeros; a read at the end is short",
    async prove(subject) {
      const file = await open(subject, "a");
      await fill(subject, file, UNIT, UNIT, 1);
      await fill(subject, file, 3 * UNIT, 2 * UNIT, 2);
      assertEquals(await subject.call(file, "size"), 5 * UNIT);
      assertEquals(runs(await read(subject, file, 0, 8 * UNIT)), [
        [0, UNIT],
        [1, UNIT],
        [0, UNIT],
        [2, 2 * UNIT],
      ]);
      assertEquals((await read(subject, file, 5 * UNIT, UNIT)).length, 0);
      assertEquals((await read(subject, file, 9 * UNIT, UNIT)).length, 0);
      await fill(subject, file, UNIT, UNIT, 3);
      assertEquals(runs(await read(subject, file, UNIT, UNIT)), [[3, UNIT]]);
      assertEquals(await subject.call(file, "size"), 5 * UNIT);
      await subject.call(file, "close");
    },
  },
  {
    name: "a range of a buffer is transferred, and the rest is left unchanged",
    async prove(subject) {
      const file = await open(subject, "a");
      using buffer = subject.pool.acquireSync(4 * UNIT);
      buffer.bytes.forEach((_, i, bytes) =>
        bytes[i] = 1 + Math.floor(i / UNIT)
      );
      assertEquals(
        await subject.call(file, "write", buffer, 0, {
          start: UNIT,
          length: 2 * UNIT,
        }),
        2 * UNIT,
      );
      assertEquals(runs(await read(subject, file, 0, 4 * UNIT)), [
        [2, UNIT],
        [3, UNIT],
      ]);
      buffer.bytes.fill(9);
      assertEquals(
        await subject.call(file, "read", buffer, 0, { start: 2 * UNIT }),
        2 * UNIT,
      );
      assertEquals(runs(buffer.bytes), [[9, 2 * UNIT], [2, UNIT], [3, UNIT]]);
      // After the end of the file the rest of the range is unspecified: a direct read leaves zeros
      // there.
      buffer.bytes.fill(9);
      assertEquals(
        await subject.call(file, "read", buffer, UNIT, { length: 2 * UNIT }),
        UNIT,
      );
      assertEquals(runs(buffer.bytes.subarray(0, UNIT)), [[3, UNIT]]);
      assertEquals(runs(buffer.bytes.subarray(2 * UNIT)), [[9, 2 * UNIT]]);
      await subject.call(file, "close");
    },
  },
  {
    name: "misaligned operands are RangeErrors before anything happens",
    async prove(subject) {
      const file = await open(subject, "a");
      using buffer = subject.pool.acquireSync(2 * UNIT);
      buffer.bytes.fill(1);
      const { offsetAlignment, memoryAlignment } = subject.capabilities;
      const ranges = [
        { position: -1 },
        { position: 0.5 },
        { position: 2 ** 53 },
        { position: Number.MAX_SAFE_INTEGER },
        { position: 0, start: -1 },
        { position: 0, start: 2 * UNIT },
        { position: 0, length: 0 },
        { position: 0, start: UNIT, length: UNIT + 1 },
        { position: 0, length: NaN },
        ...(offsetAlignment > 1
          ? [{ position: 1 }, { position: 0, length: offsetAlignment + 1 }]
          : []),
        ...(memoryAlignment > 1
          ? [{ position: 0, start: 1, length: offsetAlignment }]
          : []),
      ];
      for (const { position, ...range } of ranges) {
        for (const operation of ["read", "write"] as const) {
          const answer = await subject.ask(
            file,
            operation,
            buffer,
            position,
            range,
          );
          assertEquals(
            "error" in answer && answer.error,
            "RangeError",
            JSON.stringify({ operation, position, range, answer }),
          );
        }
      }
      assertEquals(await subject.call(file, "size"), 0);
      assertEquals(runs(buffer.bytes), [[1, 2 * UNIT]]);
      await subject.call(file, "close");
    },
  },
  {
    name: "wrong kinds of arguments are TypeErrors",
    async prove(subject) {
      const file = await open(subject, "a");
      await fill(subject, file, 0, UNIT, 1);
      using buffer = subject.pool.acquireSync(UNIT);
      const error = async (answer: Promise<Answer>) => {
        const given = await answer;
        return "error" in given && given.error;
      };
      const not = (value: unknown) => value as never;
      const wrong: Promise<Answer>[] = [
        subject.ask(file, "read", not(new Uint8Array(UNIT)), 0),
        subject.ask(file, "write", not(null), 0),
        subject.ask(file, "write", buffer, not("0")),
        subject.ask(file, "write", buffer, 0, { durability: not("most") }),
        subject.ask(file, "sync", not("none")),
        subject.ask(file, "truncate", not("1")),
        subject.ask(file, "truncate", not(undefined)),
      ];
      for (const answer of wrong) {
        assertEquals(await error(answer), "TypeError");
      }
      for (const length of [-1, 1.5, 2 ** 53]) {
        assertEquals(
          await error(subject.ask(file, "truncate", length)),
          "RangeError",
        );
      }
      for (const [position, length] of [[-1, 1], [0, 0], [1, 2 ** 53 - 1]]) {
        assertEquals(
          await error(subject.ask(file, "preallocate", position!, length!)),
          "RangeError",
        );
      }
      assertEquals(await subject.call(file, "size"), UNIT);
      await subject.call(file, "close");
    },
  },
  {
    name:
      "a frozen buffer can be written, also twice at once, and never read into",
    async prove(subject) {
      const file = await open(subject, "a");
      const buffer = subject.pool.acquireSync(UNIT);
      buffer.bytes.fill(4);
      using frozen = buffer.freeze();
      await Promise.all([
        subject.call(file, "write", frozen, 0),
        subject.call(file, "write", frozen, UNIT),
      ]);
      assertEquals(runs(frozen.bytes), [[4, UNIT]]);
      assertEquals(runs(await read(subject, file, 0, 4 * UNIT)), [
        [4, 2 * UNIT],
      ]);
      const answer = await subject.ask(file, "read", frozen as never, 0);
      assertEquals("error" in answer && answer.error, "TypeError");
      await subject.call(file, "close");
    },
  },
  {
    name:
      "a buffer is lent while its operation is in flight, and belongs to its owner afterwards",
    async prove(subject) {
      const file = await open(subject, "a");
      using buffer = subject.pool.acquireSync(UNIT);
      const view = buffer.bytes;
      view.fill(5);
      const writing = file.write(buffer, 0);
      assertEquals(view.length, 0);
      assertThrows(() => buffer.bytes, TypeError, "in flight");
      const again = await answerOf(() => file.write(buffer, UNIT));
      assertEquals("error" in again && again.error, "TypeError");
      assertEquals(await writing, UNIT);
      assertEquals(buffer.bytes[UNIT - 1], 5);
      const failing = await answerOf(() => file.read(buffer, -UNIT));
      assertEquals("error" in failing && failing.error, "RangeError");
      assertEquals(buffer.bytes[0], 5);
      await subject.call(file, "close");
    },
  },
  {
    name:
      "a buffer that is dropped in flight returns when its operation has completed",
    async prove(subject) {
      const file = await open(subject, "a");
      const buffer = subject.pool.acquireSync(UNIT, { zeroed: true });
      const writing = file.write(buffer, 0);
      buffer.drop();
      assertEquals(await writing, UNIT);
      assertEquals(subject.pool.stats().inUseBytes, 0);
      await subject.call(file, "close");
    },
  },
  {
    name:
      "truncate cuts and grows, to any size, and removed bytes do not come back",
    async prove(subject) {
      const file = await open(subject, "a");
      await fill(subject, file, 0, 2 * UNIT, 6);
      await subject.call(file, "truncate", 100);
      assertEquals(await subject.call(file, "size"), 100);
      assertEquals(runs(await read(subject, file, 0, UNIT)), [[6, 100]]);
      await subject.call(file, "truncate", 3 * UNIT);
      assertEquals(runs(await read(subject, file, 0, 4 * UNIT)), [
        [6, 100],
        [0, 3 * UNIT - 100],
      ]);
      await subject.call(file, "truncate", 0);
      assertEquals((await read(subject, file, 0, UNIT)).length, 0);
      assertEquals(
        named(await subject.ask(file, "truncate", 2 ** 53 - 1)),
        failed("Error", "EFBIG", "ftruncate", file.path),
      );
      await subject.call(file, "close");
    },
  },
  {
    name: "preallocate grows the size to its end and changes no byte",
    async prove(subject) {
      const file = await open(subject, "a");
      await fill(subject, file, 0, UNIT, 7);
      await subject.call(file, "preallocate", 0, 3 * UNIT);
      assertEquals(await subject.call(file, "size"), 3 * UNIT);
      await subject.call(file, "preallocate", 10, 5);
      assertEquals(await subject.call(file, "size"), 3 * UNIT);
      await subject.call(file, "preallocate", 3 * UNIT, 7);
      assertEquals(await subject.call(file, "size"), 3 * UNIT + 7);
      assertEquals(runs(await read(subject, file, 0, 4 * UNIT)), [
        [7, UNIT],
        [0, 2 * UNIT + 7],
      ]);
      await subject.call(file, "close");
    },
  },
  {
    name:
      "preallocate with 'zeroed' reports whether it wrote zeros, and changes no byte if not",
    async prove(subject) {
      const file = await open(subject, "a");
      await fill(subject, file, 0, 2 * UNIT, 7);
      const zeroed = await subject.call(
        file,
        "preallocate",
        UNIT,
        3 * UNIT,
        { zeroed: true },
      );
      assertEquals(await subject.call(file, "size"), 4 * UNIT);
      assertEquals(
        runs(await read(subject, file, 0, 8 * UNIT)),
        zeroed ? [[7, UNIT], [0, 3 * UNIT]] : [[7, 2 * UNIT], [0, 2 * UNIT]],
      );
      await fill(subject, file, 3 * UNIT, UNIT, 8);
      assertEquals(runs(await read(subject, file, 2 * UNIT, 2 * UNIT)), [
        [0, UNIT],
        [8, UNIT],
      ]);
      await subject.call(file, "close");
    },
  },
  {
    name: "writes and syncs accept every durability",
    async prove(subject) {
      const file = await open(subject, "a");
      using buffer = subject.pool.acquireSync(UNIT, { zeroed: true });
      for (const durability of ["none", "data", "full"] as const) {
        assertEquals(
          await subject.call(file, "write", buffer, 0, { durability }),
          UNIT,
        );
      }
      assertEquals(await subject.call(file, "sync"), undefined);
      assertEquals(await subject.call(file, "sync", "data"), undefined);
      assertEquals(await subject.call(file, "sync", "full"), undefined);
      await subject.call(file, "close");
    },
  },
  {
    name: "a handle does only what it was opened for",
    async prove(subject) {
      await make(subject, "a");
      using buffer = subject.pool.acquireSync(UNIT, { zeroed: true });
      const reader = await open(subject, "a", {});
      const badly = (call: string) =>
        failed("BadResource", "EBADF", call, reader.path);
      assertEquals(
        named(await subject.ask(reader, "write", buffer, 0)),
        badly("write"),
      );
      assertEquals(
        named(await subject.ask(reader, "truncate", 0)),
        badly("ftruncate"),
      );
      assertEquals(
        named(await subject.ask(reader, "preallocate", 0, 1)),
        badly("fallocate"),
      );
      assertEquals(await subject.call(reader, "read", buffer, 0), 0);
      await subject.call(reader, "sync");
      await subject.call(reader, "close");
      const writer = await open(subject, "a", { read: false, write: true });
      assertEquals(
        named(await subject.ask(writer, "read", buffer, 0)),
        badly("read"),
      );
      assertEquals(await subject.call(writer, "write", buffer, 0), UNIT);
      await subject.call(writer, "close");
    },
  },
  {
    name: "only closing works on a closed file",
    async prove(subject) {
      const file = await open(subject, "a");
      using buffer = subject.pool.acquireSync(UNIT, { zeroed: true });
      await subject.call(file, "close");
      await subject.call(file, "close");
      await file.close();
      file.closeSync();
      file.settleSync();
      const closed = (call: string) =>
        failed("BadResource", "EBADF", call, file.path);
      const asked: [Promise<Answer>, string][] = [
        [subject.ask(file, "read", buffer, 0), "read"],
        [subject.ask(file, "write", buffer, 0), "write"],
        [subject.ask(file, "sync"), "fdatasync"],
        [subject.ask(file, "sync", "full"), "fsync"],
        [subject.ask(file, "truncate", 0), "ftruncate"],
        [subject.ask(file, "preallocate", 0, 1), "fallocate"],
        [subject.ask(file, "size"), "statx"],
      ];
      for (const [answer, call] of asked) {
        assertEquals(named(await answer), closed(call));
      }
    },
  },
  {
    name: "closing waits for operations in flight, and lets none start",
    async prove(subject) {
      const file = await open(subject, "a");
      const buffers = [1, 2, 3].map((value) => {
        const buffer = subject.pool.acquireSync(UNIT);
        buffer.bytes.fill(value);
        return buffer;
      });
      const writing = buffers.map((buffer, i) => file.write(buffer, i * UNIT));
      const closing = subject.call(file, "close");
      const late = await answerOf(() => file.size());
      assertEquals(
        named(late),
        failed("BadResource", "EBADF", "statx", file.path),
      );
      await closing;
      const again = subject.storage.openSync(`${subject.root}/a`);
      assertEquals(again.sizeSync(), 3 * UNIT);
      assertEquals(await Promise.all(writing), [UNIT, UNIT, UNIT]);
      for (const buffer of buffers) buffer.drop();
      assertEquals(runs(await read(subject, again, 0, 4 * UNIT)), [
        [1, UNIT],
        [2, UNIT],
        [3, UNIT],
      ]);
      await subject.call(again, "close");
    },
  },
  {
    name:
      "settleSync completes operations in flight; promises settle in later turns",
    async prove(subject) {
      const file = await open(subject, "a");
      file.settleSync();
      using buffer = subject.pool.acquireSync(2 * UNIT, { zeroed: true });
      let settled = false;
      const writing = file.write(buffer, 0).finally(() => settled = true);
      file.settleSync();
      assertEquals(file.sizeSync(), 2 * UNIT);
      assert(!settled);
      assertEquals(await writing, 2 * UNIT);
      await subject.call(file, "close");
    },
  },
  {
    name: "two handles of a file see each other's bytes",
    async prove(subject) {
      const one = await open(subject, "a");
      const two = await open(subject, "a");
      await fill(subject, one, 0, UNIT, 1);
      assertEquals(runs(await read(subject, two, 0, UNIT)), [[1, UNIT]]);
      await subject.call(two, "truncate", 0);
      assertEquals(await subject.call(one, "size"), 0);
      await subject.call(one, "close");
      await subject.call(two, "close");
    },
  },
  {
    name:
      "a handle outlives the name of its file, and a new file with that name is a different one",
    async prove(subject) {
      const { storage, root } = subject;
      const old = await open(subject, "a");
      await fill(subject, old, 0, UNIT, 1);
      await subject.call(storage, "remove", `${root}/a`);
      assertEquals(await names(subject, root), []);
      const young = await open(subject, "a", { write: true, createNew: true });
      assertEquals(await subject.call(young, "size"), 0);
      await fill(subject, old, UNIT, UNIT, 2);
      assertEquals(runs(await read(subject, old, 0, 4 * UNIT)), [
        [1, UNIT],
        [2, UNIT],
      ]);
      assertEquals(await subject.call(young, "size"), 0);
      await subject.call(old, "close");
      await subject.call(young, "close");
    },
  },
  {
    name: "rename moves a file with its handles, and replaces one",
    async prove(subject) {
      const { storage, root } = subject;
      const path = (name: string) => `${root}/${name}`;
      await subject.call(storage, "makeDirectory", path("d"));
      const a = await open(subject, "a");
      const b = await open(subject, "b");
      await fill(subject, a, 0, UNIT, 1);
      await fill(subject, b, 0, UNIT, 2);
      await subject.call(storage, "rename", path("a"), path("b"));
      assertEquals(await names(subject, root), ["b", "d/"]);
      await fill(subject, a, UNIT, UNIT, 3);
      const found = await open(subject, "b", {});
      assertEquals(runs(await read(subject, found, 0, 4 * UNIT)), [
        [1, UNIT],
        [3, UNIT],
      ]);
      assertEquals(runs(await read(subject, b, 0, UNIT)), [[2, UNIT]]);
      await subject.call(storage, "rename", path("b"), path("d/c"));
      assertEquals(await names(subject, root), ["d/"]);
      assertEquals(await names(subject, path("d")), ["c"]);
      await subject.call(storage, "rename", path("d/c"), path("d/c"));
      assertEquals(await names(subject, path("d")), ["c"]);
      for (const file of [a, b, found]) await subject.call(file, "close");
    },
  },
  {
    name: "rename refuses a missing source, and a missing target directory",
    async prove(subject) {
      const { storage, root } = subject;
      const path = (name: string) => `${root}/${name}`;
      await make(subject, "a");
      await make(subject, "file");
      await subject.call(storage, "makeDirectory", path("d/e"));
      await make(subject, "d/e/f");
      const long = "x".repeat(256);
      const wrong: [string, string, string, string][] = [
        ["no", "z", "NotFound", "ENOENT"],
        ["a", "no/z", "NotFound", "ENOENT"],
        ["a", "file/z", "NotADirectory", "ENOTDIR"],
        ["file/a", "z", "NotADirectory", "ENOTDIR"],
        ["a", "d", "IsADirectory", "EISDIR"],
        ["d/e/f", "d/e", "Error", "ENOTEMPTY"],
        ["d/e/f", "d", "Error", "ENOTEMPTY"],
        ["a", long, "Error", "ENAMETOOLONG"],
        [long, "z", "Error", "ENAMETOOLONG"],
      ];
      for (const [from, to, error, code] of wrong) {
        assertEquals(
          named(await subject.ask(storage, "rename", path(from), path(to))),
          failed(error, code, "rename", path(from)),
        );
      }
      assertEquals(await names(subject, root), ["a", "d/", "file"]);
    },
  },
  {
    name: "remove accepts files and empty directories, and nothing else",
    async prove(subject) {
      const { storage, root } = subject;
      const path = (name: string) => `${root}/${name}`;
      await make(subject, "a");
      await subject.call(storage, "makeDirectory", path("d/e"));
      const wrong: [string, string, string][] = [
        ["no", "NotFound", "ENOENT"],
        ["a/b", "NotADirectory", "ENOTDIR"],
        ["d", "Error", "ENOTEMPTY"],
        ["x".repeat(256), "Error", "ENAMETOOLONG"],
      ];
      for (const [name, error, code] of wrong) {
        assertEquals(
          named(await subject.ask(storage, "remove", path(name))),
          failed(error, code, "unlink", path(name)),
        );
      }
      for (const name of ["a", "d/e", "d"]) {
        await subject.call(storage, "remove", path(name));
      }
      assertEquals(await names(subject, root), []);
    },
  },
  {
    name: "list orders by name, reports types, and accepts directories only",
    async prove(subject) {
      const { storage, root } = subject;
      for (const name of ["b", "a", "10", "9", "B", "é"]) {
        await make(subject, name);
      }
      await subject.call(storage, "makeDirectory", `${root}/aa/deep`);
      assertEquals(
        await names(subject, root),
        ["10", "9", "B", "a", "aa/", "b", "é"],
      );
      assertEquals(await names(subject, `${root}/aa`), ["deep/"]);
      assertEquals(
        named(await subject.ask(storage, "list", `${root}/no`)),
        failed("NotFound", "ENOENT", "scandir", `${root}/no`),
      );
      assertEquals(
        named(await subject.ask(storage, "list", `${root}/a`)),
        failed("NotADirectory", "ENOTDIR", "scandir", `${root}/a`),
      );
    },
  },
  {
    name:
      "makeDirectory makes parents, and returns whether it made the directory",
    async prove(subject) {
      const { storage, root } = subject;
      const path = `${root}/a/b/c`;
      assertEquals(await subject.call(storage, "makeDirectory", path), true);
      assertEquals(await subject.call(storage, "makeDirectory", path), false);
      assertEquals(
        await subject.call(storage, "makeDirectory", `${root}/a`),
        false,
      );
      assertEquals(await names(subject, `${root}/a/b`), ["c/"]);
      await make(subject, "file");
      for (const name of ["file", "file/x", "file/x/y"]) {
        const where = `${root}/${name}`;
        assertEquals(
          named(await subject.ask(storage, "makeDirectory", where)),
          failed("NotADirectory", "ENOTDIR", "mkdir", where),
        );
      }
      const long = `${root}/${"x".repeat(256)}`;
      assertEquals(
        named(await subject.ask(storage, "makeDirectory", long)),
        failed("Error", "ENAMETOOLONG", "mkdir", long),
      );
    },
  },
  {
    name: "syncDirectory accepts directories only",
    async prove(subject) {
      const { storage, root } = subject;
      await make(subject, "a");
      assertEquals(
        await subject.call(storage, "syncDirectory", root),
        undefined,
      );
      assertEquals(
        named(await subject.ask(storage, "syncDirectory", `${root}/no`)),
        failed("NotFound", "ENOENT", "open", `${root}/no`),
      );
      assertEquals(
        named(await subject.ask(storage, "syncDirectory", `${root}/a`)),
        failed("NotADirectory", "ENOTDIR", "open", `${root}/a`),
      );
    },
  },
  {
    name: "lock is of a directory, and exclusive until it is released once",
    async prove(subject) {
      const { storage, root } = subject;
      await make(subject, "a");
      await subject.call(storage, "makeDirectory", `${root}/d`);
      const held = storage.lock(root)!;
      assertEquals(storage.lock(root), undefined);
      const other = storage.lock(`${root}/d`)!;
      held.release();
      const next = storage.lock(root)!;
      held.release();
      assertEquals(storage.lock(root), undefined);
      next.release();
      other.release();
      assertEquals(
        named(await answerOf(() => storage.lock(`${root}/no`))),
        failed("NotFound", "ENOENT", "open", `${root}/no`),
      );
      assertEquals(
        named(await answerOf(() => storage.lock(`${root}/a`))),
        failed("NotADirectory", "ENOTDIR", "open", `${root}/a`),
      );
    },
  },
  {
    name: "a lock belongs to the directory, not to its name",
    async prove(subject) {
      const { storage, root } = subject;
      const path = `${root}/d`;
      await subject.call(storage, "makeDirectory", path);
      const old = storage.lock(path)!;
      assertEquals(storage.lock(`${root}/./d/`), undefined);
      await subject.call(storage, "remove", path);
      await subject.call(storage, "makeDirectory", path);
      const young = storage.lock(path)!;
      assert(young !== undefined);
      old.release();
      assertEquals(storage.lock(path), undefined);
      young.release();
      storage.lock(path)!.release();
    },
  },
  {
    name: "close and closeSync both close a file, whichever comes first",
    async prove(subject) {
      const file = await open(subject, "a");
      using buffer = subject.pool.acquireSync(UNIT, { zeroed: true });
      const writing = file.write(buffer, 0);
      const closing = file.close();
      file.closeSync();
      assertEquals(await writing, UNIT);
      await closing;
      await file.close();
      file.closeSync();
      assertEquals(
        named(await subject.ask(file, "size")),
        failed("BadResource", "EBADF", "statx", file.path),
      );
    },
  },
  {
    name: "buffers of a closed pool are refused, and the file is unchanged",
    async prove(subject) {
      const file = await open(subject, "a");
      const pool = new BufferPool();
      const buffer = pool.acquireSync(UNIT);
      buffer.drop();
      pool.close();
      for (const operation of ["read", "write"] as const) {
        const answer = await subject.ask(file, operation, buffer, 0);
        assertEquals("error" in answer && answer.error, "TypeError");
      }
      assertEquals(await subject.call(file, "size"), 0);
      await subject.call(file, "close");
    },
  },
  {
    name: "an option that is undefined is like one that is missing",
    async prove(subject) {
      const options = {
        read: undefined,
        write: true,
        create: true,
        createNew: undefined,
        mode: undefined,
      };
      const file = await open(subject, "a", options as never);
      await fill(subject, file, 0, UNIT, 1);
      assertEquals(runs(await read(subject, file, 0, UNIT)), [[1, UNIT]]);
      await subject.call(file, "close");
    },
  },
  {
    name: "delay refuses times that no timer supports",
    async prove(subject) {
      const { storage } = subject;
      for (const wrong of [-1, NaN, Infinity, 2 ** 31]) {
        const answer = await subject.ask(storage, "delay", wrong);
        assertEquals("error" in answer && answer.error, "RangeError");
      }
      for (const wrong of ["1", null, undefined, 1n]) {
        const answer = await subject.ask(storage, "delay", wrong as never);
        assertEquals("error" in answer && answer.error, "TypeError");
      }
      await subject.call(storage, "delay", 0);
      await subject.call(storage, "delay", 0.5);
    },
  },
  {
    name: "delay lets the storage's time pass, and ends with its signal",
    async prove(subject) {
      const { storage } = subject;
      const began = storage.now();
      assert(Number.isSafeInteger(began));
      await subject.call(storage, "delay", 5);
      // The clocks of a machine differ, because they are adjusted.
      assert(storage.now() - began >= 4000);
      const reason = new Error("enough");
      const controller = new AbortController();
      const waiting = answerOf(() =>
        storage.delay(60_000, { signal: controller.signal })
      );
      controller.abort(reason);
      const answer = await waiting;
      assertEquals("error" in answer && answer.message, "enough");
      const early = await answerOf(() =>
        storage.delay(60_000, { signal: controller.signal })
      );
      assertEquals("error" in early && early.message, "enough");
    },
  },
  {
    name: "after refuses times that no timer supports",
    prove(subject) {
      const { storage } = subject;
      for (const wrong of [-1, NaN, Infinity, 2 ** 31]) {
        assertThrows(() => storage.after(wrong, () => {}), RangeError);
      }
      for (const wrong of ["1", null, undefined, 1n]) {
        assertThrows(() => storage.after(wrong as never, () => {}), TypeError);
      }
      return Promise.resolve();
    },
  },
  {
    name: "after runs once, when the storage's clock reaches the time",
    async prove(subject) {
      const { storage } = subject;
      const began = storage.now();
      const ran: string[] = [];
      let passed = 0;
      storage.after(5, () => {
        ran.push("later");
        passed = storage.now() - began;
      });
      storage.after(0, () => ran.push("at once"));
      assertEquals(ran, []);
      for (let i = 0; i < 1000 && ran.length < 2; i++) await storage.delay(10);
      await storage.delay(20);
      assertEquals(ran, ["at once", "later"]);
      // The clocks of a machine differ, because they are adjusted.
      assert(passed >= 4000);
    },
  },
  {
    name: "after can be cancelled, also twice, and also when it has run",
    async prove(subject) {
      const { storage } = subject;
      const ran: string[] = [];
      const cancelled = storage.after(5, () => ran.push("cancelled"));
      const kept = storage.after(5, () => ran.push("kept"));
      cancelled.cancel();
      cancelled.cancel();
      for (let i = 0; i < 1000 && ran.length < 1; i++) await storage.delay(10);
      kept.cancel();
      kept.cancel();
      await storage.delay(20);
      assertEquals(ran, ["kept"]);
    },
  },
  {
    name: "random fills the given view, and differs each time",
    prove(subject) {
      const { storage } = subject;
      const bytes = new Uint8Array(70_000);
      assert(storage.random(bytes) === bytes);
      assert(bytes.subarray(65_536).some((byte) => byte !== 0));
      assert(new Set(bytes).size === 256);
      const other = storage.random(new Uint8Array(16));
      assert(other.some((byte, i) => byte !== bytes[i]));
      assertEquals(storage.random(new Uint8Array(0)).length, 0);
      return Promise.resolve();
    },
  },
];
