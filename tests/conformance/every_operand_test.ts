/**
 * Every operation of a file with every kind of operand: the same results and contents, including
 * the text of messages.
 */
import { assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import type { StorageFile } from "../../lib/storage/mod.ts";
import { type Answer, PAIRS, simulatedLike, type Subject } from "./_subject.ts";

const UNIT = 4096;
/** The size of the file, which ends within a sector. */
const SIZE = 2 * UNIT + 100;
/** The largest size of a file on ext4 with blocks of 4096 bytes. */
const MAX = 2 ** 44 - 4096;

/** Values that are not a number of bytes, or too large for any file. */
const NO_NUMBERS: readonly unknown[] = [
  -1,
  -UNIT,
  0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 60,
  "0",
  0n,
  null,
  true,
  {},
  [UNIT],
];

/** Positions in and after the file. Those after `MAX` are used only where files end there. */
const PLACES: readonly number[] = [
  -0,
  0,
  1,
  511,
  512,
  UNIT,
  2 * UNIT,
  2 * UNIT + 99,
  SIZE,
  2 * UNIT + 512,
  3 * UNIT,
  5 * UNIT,
  2 ** 31,
  2 ** 32,
  2 ** 40 + 1,
];
const FAR: readonly number[] = [
  MAX - UNIT,
  MAX - 512,
  MAX - 1,
  MAX,
  MAX + 1,
  MAX + UNIT,
  2 ** 52,
  2 ** 53 - UNIT,
  2 ** 53 - 512,
];

const RANGES: readonly unknown[] = [
  undefined,
  {},
  { start: 0 },
  { start: 512 },
  { start: UNIT },
  { start: 1, length: 512 },
  { start: 2 * UNIT },
  { start: 2 * UNIT - 1, length: 1 },
  ...[0, 1, 511, 512, 513, UNIT, 2 * UNIT, 2 * UNIT + 1]
    .map((length) => ({ length })),
  { start: UNIT, length: UNIT },
  { start: UNIT, length: UNIT + 512 },
  ...NO_NUMBERS.flatMap((wrong) => [{ start: wrong }, { length: wrong }]),
  { durability: "data" },
  { durability: "most" },
  { durability: null },
  { durability: 1, start: -1 },
  null,
  7,
];

interface Case {
  readonly what: string;
  run(on: Subject, file: StorageFile): Promise<Answer>;
}

const not = (value: unknown) => value as never;

/** Returns a read or write of two units of `value`. */
function transfer(
  call: "read" | "write",
  position: unknown,
  range: unknown,
): Case {
  return {
    what: `${call} at ${shown(position)} ${shown(range)}`,
    async run(on, file) {
      using buffer = on.pool.acquireSync(2 * UNIT);
      buffer.bytes.fill(9);
      const answer = await on.ask(
        file,
        call,
        buffer,
        not(position),
        not(range),
      );
      if ("error" in answer || call === "write") return answer;
      const { start = 0 } = (range ?? {}) as { start?: number };
      return { value: [...buffer.bytes.slice(start, start + answer.value)] };
    },
  };
}

/** Values that are not a buffer to read into or to write from. */
const WRONG_BUFFERS: Readonly<
  Record<string, (pool: BufferPool, other: BufferPool) => unknown>
> = {
  null: () => null,
  undefined: () => undefined,
  "a typed array": () => new Uint8Array(UNIT),
  "an ArrayBuffer": () => new ArrayBuffer(UNIT),
  "an object": () => ({ length: UNIT, bytes: new Uint8Array(UNIT) }),
  "an empty buffer": (pool) => {
    const buffer = pool.acquireSync(UNIT);
    buffer.truncate(0);
    return buffer;
  },
  "a short buffer": (pool) => {
    const buffer = pool.acquireSync(UNIT);
    buffer.truncate(100);
    return buffer;
  },
  "a dropped buffer": (pool) => {
    const buffer = pool.acquireSync(UNIT);
    buffer.drop();
    return buffer;
  },
  "a frozen buffer": (pool) => filled(pool).freeze(),
  "a dropped frozen buffer": (pool) => {
    const frozen = filled(pool).freeze();
    frozen.drop();
    return frozen;
  },
  "the middle of a frozen buffer": (pool) => {
    const whole = filled(pool, 4 * UNIT).freeze();
    const part = whole.slice(1000, 1000 + UNIT);
    whole.drop();
    return part;
  },
  "a sector of a frozen buffer": (pool) => {
    const whole = filled(pool, 4 * UNIT).freeze();
    const part = whole.slice(UNIT, 2 * UNIT);
    whole.drop();
    return part;
  },
  "another pool's buffer": (_, other) => filled(other),
  "a small buffer that shares a block": (pool) => filled(pool, 512),
};

function filled(pool: BufferPool, length = UNIT) {
  const buffer = pool.acquireSync(length);
  buffer.bytes.fill(5);
  return buffer;
}

function buffers(call: "read" | "write"): Case[] {
  return Object.entries(WRONG_BUFFERS).map(([what, make]) => ({
    what: `${call} of ${what}`,
    async run(on, file) {
      using other = new BufferPool();
      const buffer = make(on.pool, other);
      const answer = await on.ask(file, call, not(buffer), 0);
      (buffer as { drop?(): void } | null | undefined)?.drop?.();
      return answer;
    },
  }));
}

function cases(ends: boolean): Case[] {
  const places = ends ? [...PLACES, ...FAR] : PLACES;
  const all: Case[] = [];
  for (const call of ["read", "write"] as const) {
    for (const place of [...places, ...NO_NUMBERS, undefined]) {
      for (const range of [undefined, { start: UNIT, length: UNIT }]) {
        all.push(transfer(call, place, range));
      }
    }
    for (const range of RANGES) {
      all.push(transfer(call, UNIT, range), transfer(call, -1, range));
    }
    all.push(...buffers(call));
  }
  const add = (what: string, run: Case["run"]) => all.push({ what, run });
  for (const length of [...places, ...NO_NUMBERS, undefined]) {
    add(
      `truncate ${shown(length)}`,
      (on, file) => on.ask(file, "truncate", not(length)),
    );
    for (const place of [0, 1, UNIT, 5 * UNIT]) {
      // Unavailable space is not requested, because a filesystem may allocate what there is first.
      if (typeof length === "number" && length >= 2 ** 31 && length <= MAX) {
        continue;
      }
      add(
        `preallocate ${place}+${shown(length)}`,
        (on, file) => on.ask(file, "preallocate", place, not(length)),
      );
    }
    add(
      `preallocate ${shown(length)}+1`,
      (on, file) => on.ask(file, "preallocate", not(length), 1),
    );
  }
  for (const options of [undefined, {}, { zeroed: false }, null, 7]) {
    add(
      `preallocate with ${shown(options)}`,
      (on, file) => on.ask(file, "preallocate", 0, UNIT, not(options)),
    );
  }
  for (const durability of [undefined, "data", "full", "none", "", null, 1]) {
    add(
      `sync ${shown(durability)}`,
      (on, file) => on.ask(file, "sync", not(durability)),
    );
  }
  add("size", (on, file) => on.ask(file, "size"));
  return all;
}

function shown(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  return typeof value === "object" && value !== null
    ? `{${Object.entries(value).map((each) => each.map(String).join(": "))}}`
    : typeof value === "string"
    ? `"${value}"`
    : String(value);
}

/** Runs every case with a handle for both, a reader, a writer and a closed file. */
async function answers(on: Subject): Promise<Map<string, unknown>> {
  const { storage, root } = on;
  const path = `${root}/a`;
  const given = new Map<string, unknown>();
  using bytes = on.pool.acquireSync(3 * UNIT);
  bytes.bytes.fill(1).fill(2, UNIT).fill(3, 2 * UNIT);
  const whole = storage.openSync(path, { write: true, create: true });
  const fresh = () => {
    whole.truncateSync(0);
    whole.writeSync(bytes, 0);
    whole.truncateSync(SIZE);
  };
  using look = on.pool.acquireSync(8 * UNIT);
  const contents = () => {
    const count = whole.readSync(look, 0);
    const { bytes } = look;
    let found = `${whole.sizeSync()}:`;
    for (let i = 0; i < count; i++) {
      if (bytes[i] !== bytes[i - 1]) found += ` ${bytes[i]} from ${i}`;
    }
    return found;
  };
  fresh();
  const before = contents();
  const handles: Record<string, StorageFile> = {
    "for both": await on.call(storage, "open", path, { write: true }),
    "to read": await on.call(storage, "open", path, {}),
    "to write": await on.call(storage, "open", path, {
      read: false,
      write: true,
    }),
    closed: await on.call(storage, "open", path, { write: true }),
  };
  await on.call(handles["closed"]!, "close");
  for (const { what, run } of cases(on.capabilities.filesystem === "ext4")) {
    for (const [opened, handle] of Object.entries(handles)) {
      const answer = await run(on, handle);
      const left = contents();
      given.set(`${what}, ${opened}`, { answer, left });
      if (left !== before) fresh();
    }
  }
  for (const handle of [whole, ...Object.values(handles)]) {
    await on.call(handle, "close");
  }
  return given;
}

for (const [kind, mode] of PAIRS) {
  Deno.test(`SimulatedDisk gives the results of ${kind.name} for every operand, ${mode}`, async () => {
    using disk = kind.make(mode);
    using simulated = simulatedLike(disk, mode);
    const expected = await answers(disk);
    const given = await answers(simulated);
    assertEquals(given.size, expected.size);
    for (const [what, answer] of expected) {
      assertEquals(given.get(what), answer, what);
    }
  });
}
