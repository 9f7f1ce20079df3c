/** Random operations on a file compared with an array of bytes, async and sync, in each tier. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { roundDown, roundUp } from "../../lib/base/mod.ts";
import { DirectFile } from "../../lib/storage/mod.ts";
import { FILES } from "../permissions.ts";
import { PLACES, TemporaryDirectory, TestPool } from "./_tiers.ts";

/** All positions are below this. */
const SPACE = 48 * 1024;
const UNIT = 4096;

type Action =
  | {
    what: "write";
    position: number;
    length: number;
    start: number;
    byte: number;
  }
  | { what: "read"; position: number; length: number; start: number }
  | { what: "readAt"; position: number; length: number }
  | { what: "truncate"; length: number }
  | { what: "preallocate"; position: number; length: number }
  | { what: "sync"; durability: "data" | "full" }
  | { what: "reopen" };

const position = fc.oneof(
  fc.integer({ min: 0, max: SPACE }),
  fc.integer({ min: 0, max: 2 * UNIT }),
);
const length = fc.oneof(
  fc.integer({ min: 1, max: SPACE }),
  fc.integer({ min: 1, max: UNIT }),
);
const start = fc.integer({ min: 0, max: 3 * UNIT });

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    what: fc.constant("write" as const),
    position,
    length,
    start,
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ what: fc.constant("read" as const), position, length, start }),
  fc.record({ what: fc.constant("readAt" as const), position, length }),
  fc.record({ what: fc.constant("truncate" as const), length: position }),
  fc.record({ what: fc.constant("preallocate" as const), position, length }),
  fc.record({
    what: fc.constant("sync" as const),
    durability: fc.constantFrom("data" as const, "full" as const),
  }),
  fc.record({ what: fc.constant("reopen" as const) }),
);

/** The model of the file's contents. */
class Model {
  bytes = new Uint8Array(0);

  resize(size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, size));
    this.bytes = bytes;
  }

  write(position: number, bytes: Uint8Array): void {
    if (position + bytes.length > this.bytes.length) {
      this.resize(position + bytes.length);
    }
    this.bytes.set(bytes, position);
  }

  read(position: number, length: number): Uint8Array {
    return this.bytes.slice(position, position + length);
  }
}

for (const { name, options, directory } of PLACES) {
  Deno.test(
    `DirectFile holds what an array of bytes holds, in place "${name}"`,
    { ignore: !FILES },
    async () => {
      using dir = new TemporaryDirectory(directory);
      using pool = new TestPool({ limitBytes: 16 * 1024 * 1024 });
      // Blocks that were used before, so that bytes which a read leaves in them would show.
      const dirty = [12, 64, 192].map((kib) => {
        const buffer = pool.acquireSync(kib * 1024);
        buffer.bytes.fill(0xee);
        return buffer;
      });
      for (const buffer of dirty) buffer.drop();

      let number = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.boolean(), action), {
            minLength: 1,
            maxLength: 25,
          }),
          async (actions) => {
            const path = dir.file(String(number++));
            const all = { ...options, read: true, write: true, pool };
            let file = DirectFile.openSync(path, { ...all, createNew: true });
            try {
              const model = new Model();
              for (const [sync, action] of actions) {
                if (action.what === "reopen") {
                  if (sync) {
                    file.closeSync();
                    file = DirectFile.openSync(path, all);
                  } else {
                    await file.close();
                    file = await DirectFile.open(path, all);
                  }
                } else await run(pool, file, model, sync, action);
                assertEquals(
                  sync ? file.sizeSync() : await file.size(),
                  model.bytes.length,
                );
              }
              using all_ = file.readAtSync(0, 2 * SPACE + UNIT);
              assertEquals(all_.bytes.slice(), model.bytes);
            } finally {
              await file.close();
              Deno.removeSync(path);
            }
          },
        ),
        { numRuns: 300 },
      );
    },
  );
}

async function run(
  pool: TestPool,
  file: DirectFile,
  model: Model,
  sync: boolean,
  action: Exclude<Action, { what: "reopen" }>,
): Promise<void> {
  const { offsetAlignment, readOffsetAlignment, memoryAlignment } =
    file.capabilities;
  switch (action.what) {
    case "write": {
      const position = roundDown(action.position, offsetAlignment);
      const length = roundUp(action.length, offsetAlignment);
      const start = roundDown(action.start, memoryAlignment);
      using buffer = pool.acquireSync(start + length);
      for (let i = 0; i < length; i++) {
        buffer.bytes[start + i] = action.byte + i;
      }
      const copy = buffer.bytes.slice(start);
      const durability = (["none", "data", "full"] as const)[action.byte % 3]!;
      const told = { start, durability };
      const written = sync
        ? file.writeSync(buffer, position, told)
        : await file.write(buffer, position, told);
      assertEquals(written, length);
      model.write(position, copy);
      break;
    }
    case "read": {
      const position = roundDown(action.position, readOffsetAlignment);
      const length = roundUp(action.length, readOffsetAlignment);
      const start = roundDown(action.start, memoryAlignment);
      using buffer = pool.acquireSync(start + length);
      const range = { start, length };
      const got = sync
        ? file.readSync(buffer, position, range)
        : await file.read(buffer, position, range);
      assertEquals(
        buffer.bytes.slice(start, start + got),
        model.read(position, length),
      );
      break;
    }
    case "readAt": {
      const { position, length } = action;
      using buffer = sync
        ? file.readAtSync(position, length)
        : await file.readAt(position, length);
      assertEquals(buffer.bytes.slice(), model.read(position, length));
      // Everything reachable must be of the file, or zeros: no bytes of buffers that were written
      // or read before.
      const reachable = new Uint8Array(buffer.bytes.buffer);
      const ahead = buffer.bytes.byteOffset;
      assertEquals(ahead, 0);
      const around = model.read(position, reachable.length);
      for (let i = 0; i < reachable.length; i++) {
        if (reachable[i] !== 0 && reachable[i] !== around[i]) {
          throw new Error(
            `byte ${i} after position ${position} is ${
              reachable[i]
            }, not the file's`,
          );
        }
      }
      break;
    }
    case "truncate":
      if (sync) file.truncateSync(action.length);
      else await file.truncate(action.length);
      model.resize(action.length);
      break;
    case "preallocate":
      if (sync) file.preallocateSync(action.position, action.length);
      else await file.preallocate(action.position, action.length);
      model.resize(
        Math.max(model.bytes.length, action.position + action.length),
      );
      break;
    case "sync":
      if (sync) file.syncSync(action.durability);
      else await file.sync(action.durability);
  }
}
