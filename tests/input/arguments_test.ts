/**
 * Wrong arguments, as plain JavaScript may pass them. The error has the right class, names the
 * argument, its value and valid ones, and nothing is created.
 */
import { assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import { exportToIggy, importFromIggy } from "../../lib/iggy/mod.ts";
import {
  inspectLog,
  inspectLogSync,
  Log,
  LogReader,
  planRepair,
  planRepairSync,
  repairLog,
  verifyLog,
  verifyLogSync,
} from "../../lib/log/mod.ts";
import { SegmentReader, SegmentWriter } from "../../lib/segment/mod.ts";
import { probePath } from "../../lib/storage/mod.ts";
import { testPool } from "../log/_support.ts";

// deno-lint-ignore no-explicit-any -- the tests pass what the types forbid
type Anything = any;

/** What a case may use. */
interface Tools {
  disk: SimulatedDisk;
  options: Anything;
  /** An open log with one message. */
  log: Log;
  /** Two files of a segment. */
  files: Anything;
  /** A view whose memory was transferred away. */
  detached: Uint8Array;
}

const CASES: Record<
  string,
  [
    run: (tools: Tools) => unknown,
    error: new (...args: Anything[]) => Error,
    says: RegExp,
  ]
> = {};

function each<T>(
  values: readonly T[],
  name: (value: T) => string,
  make: (value: T) => (typeof CASES)[string],
): void {
  for (const value of values) CASES[name(value)] = make(value);
}

// Paths
const PATHS: [unknown, RegExp][] = [
  [undefined, /'path' must be a string or a URL: received undefined/],
  [null, /'path' must be a string or a URL: received object/],
  [5, /'path' must be a string or a URL: received number/],
  ["a\0b", /'path' contains a NUL byte: received "a\\u0000b"/],
];
each(PATHS, ([path]) => `Log.open(${JSON.stringify(path)})`, ([path, says]) => [
  ({ options }) => Log.open(path as string, options),
  TypeError,
  new RegExp(`^Cannot open log as ${says.source}`),
]);
for (
  const [name, action, run] of [
    ["inspectLog", "inspect log", inspectLog],
    ["verifyLog", "verify log", verifyLog],
    ["planRepair", "repair log", planRepair],
    ["repairLog", "repair log", repairLog],
    [
      "exportToIggy",
      "export log",
      (path, options) => exportToIggy(path, "/p", options),
    ],
    [
      "importFromIggy",
      "import partition",
      (path, options) => importFromIggy(path, "/l", options),
    ],
    ["probePath", "probe", probePath],
  ] as [string, string, (path: string, options: Anything) => unknown][]
) {
  each(
    PATHS,
    ([path]) => `${name}(${JSON.stringify(path)})`,
    ([path, says]) => [
      ({ options }) => run(path as string, options),
      TypeError,
      new RegExp(`^Cannot ${action} as ${says.source}`),
    ],
  );
}
each(
  PATHS,
  ([path]) => `LogReader(${JSON.stringify(path)})`,
  ([path, says]) => [
    ({ options }) => new LogReader(path as string, options),
    TypeError,
    new RegExp(`^Cannot read log as ${says.source}`),
  ],
);

// Options of a log
each(
  [
    ["segmentBytes", NaN],
    ["segmentBytes", 1023],
    ["segmentBytes", 2 ** 32],
    ["blockBytes", 0.5],
    ["bufferBytes", -1],
    ["prepareBytes", Infinity],
    ["lockTimeoutMs", -1],
  ] as const,
  ([name, value]) => `Log.open() with ${name} ${value}`,
  ([name, value]) => [
    ({ options }) => Log.open("/new", { ...options, [name]: value }),
    RangeError,
    new RegExp(
      `^Cannot open log as '${name}' must be an integer (from \\d+ to \\d+|of at least \\d+, .*): received ${value}$`,
    ),
  ],
);
CASES["Log.open() with segmentBytes that is text"] = [
  ({ options }) => Log.open("/new", { ...options, segmentBytes: "4096" }),
  TypeError,
  /^Cannot open log as 'segmentBytes' must be a number: received string$/,
];
CASES["Log.open() with a blockBytes that is not a multiple of 4096"] = [
  ({ options }) => Log.open("/new", { ...options, blockBytes: 5000 }),
  RangeError,
  /'blockBytes' must be a multiple of 4096: received 5000$/,
];
CASES["Log.open() with a pool that is not one"] = [
  ({ options }) => Log.open("/new", { ...options, pool: {} }),
  TypeError,
  /^Cannot open log as 'pool' must be a BufferPool: received object$/,
];
CASES["Log.open() with a storage that is not one"] = [
  ({ options }) => Log.open("/new", { ...options, storage: {} }),
  TypeError,
  /^Cannot open log as 'storage' must be a Storage, such as a DiskStorage$/,
];
CASES["exportToIggy() with a pool that is not one"] = [
  ({ options }) => exportToIggy("/log", "/p", { ...options, pool: 5 }),
  TypeError,
  /'pool' must be a BufferPool: received number$/,
];

// What to read
each(
  ["from", "since", "count", "maxBytes"].flatMap((name) =>
    [-1, 0.5, NaN, 2 ** 53, "1", 1n].map((value) => [name, value] as const)
  ),
  ([name, value]) => `read() with ${name} ${typeof value} ${value}`,
  ([name, value]) => {
    const isNumber = typeof value === "number";
    const right = name === "since"
      ? "a Date, a Temporal.Instant or an integer of microseconds from 0 to 9007199254740991"
      : isNumber
      ? "an integer of at least 0, at most 2^53 - 1"
      : "a number";
    const shown = typeof value === "bigint"
      ? "1n"
      : isNumber
      ? value
      : name === "since"
      ? '"1"'
      : "string";
    return [
      ({ log }) => log.read({ [name]: value } as Anything).next(),
      isNumber ? RangeError : TypeError,
      new RegExp(
        `^Cannot read as '${name}' must be ${
          RegExp.escape(right)
        }: received ${shown}$`,
      ),
    ];
  },
);

// Messages
each(
  [
    [5, "number"],
    [null, "object"],
    [undefined, "undefined"],
    [[1, 2], "object"],
    [new ArrayBuffer(4), "object"],
    [new DataView(new ArrayBuffer(4)), "object"],
    [new Uint16Array(2), "object"],
  ] as const,
  ([value, type]) =>
    `append() of ${value === null ? "null" : value?.constructor.name ?? type}`,
  ([value, type]) => [
    ({ log }) => log.append(value as Anything),
    TypeError,
    new RegExp(
      `^Cannot append as 'payload' must be a Uint8Array or a string: received ${type}$`,
    ),
  ],
);
CASES["append() of a detached view"] = [
  ({ log, detached }) => log.append(detached),
  TypeError,
  /'payload' is a view whose buffer was detached/,
];
CASES["append() of 64 000 001 bytes"] = [
  ({ log }) => log.append(new Uint8Array(64_000_001)),
  RangeError,
  /64000000.*64000001/,
];
CASES["append() of a text of 64 000 001 bytes"] = [
  ({ log }) => log.append("é".repeat(32_000_000) + "x"),
  RangeError,
  /64000000.*64000001/,
];
each(
  [5, "text", null, undefined],
  (value) => `appendBatch() of ${JSON.stringify(value)}`,
  (value) => [
    ({ log }) => log.appendBatch(value as Anything),
    TypeError,
    /^Cannot append batch as 'payloads' must be an array/,
  ],
);
CASES["appendBatch() of nothing"] = [
  ({ log }) => log.appendBatch([]),
  RangeError,
  /^Cannot append (a )?batch/,
];
CASES["appendBatch() with an item that is not a payload"] = [
  ({ log }) => log.appendBatch(["good", 5 as Anything]),
  TypeError,
  /'payload' must be a Uint8Array or a string: received number$/,
];
each(
  [
    [
      { id: 5 },
      RangeError,
      /'id' must be the text of a UUID or 16 bytes: received number$/,
    ],
    [
      { id: new Uint8Array(3) },
      RangeError,
      /'id' must be .* received 3 bytes$/,
    ],
    [{ id: "x" }, SyntaxError, /UUID .* received "x"$/],
    [
      { originTimestamp: -1 },
      RangeError,
      /'originTimestamp' must be .* received -1$/,
    ],
    [
      { originTimestamp: 0.5 },
      RangeError,
      /'originTimestamp' must be .* received 0.5$/,
    ],
    [
      { userHeaders: 5 },
      TypeError,
      /user headers as they must be an object or an array: received number$/,
    ],
    [
      { userHeaders: null },
      TypeError,
      /user headers as they must be an object or an array: received null$/,
    ],
    [
      { userHeaders: { a: "" } },
      RangeError,
      /value of user header "a" .* received 0$/,
    ],
    [
      { userHeaders: { a: null } },
      TypeError,
      /value of user header "a" .* received null$/,
    ],
    [
      { userHeaders: new Uint8Array(3) },
      Deno.errors.InvalidData,
      /key at byte 0 of user headers .* found 3$/,
    ],
  ] as [object, new () => Error, RegExp][],
  ([options]) => `append() with ${JSON.stringify(options)}`,
  ([options, error, says]) => [
    ({ log }) => log.append("x", options as Anything),
    error,
    says,
  ],
);

// Offsets
each(
  [-1, 0.5, NaN, 1, 1e300, "0", undefined],
  (value) => `whenDurable(${JSON.stringify(value)}, ${value})`,
  (value) => [
    ({ log }) => log.whenDurable(value as Anything),
    RangeError,
    new RegExp(
      `'offset' must be that of an appended message, below 1: received ${value}$`
        .replace("+", "\\+"),
    ),
  ],
);
each(
  [-1, 0.5, NaN, 2, "0", undefined],
  (value) => `truncateBefore(${JSON.stringify(value)}, ${value})`,
  (value) => [
    ({ log }) => log.truncateBefore(value as Anything),
    RangeError,
    new RegExp(
      `'offset' must be an integer from 0 to the next offset, 1: received ${value}$`,
    ),
  ],
);
for (const mode of ["flush", "flushSync"] as const) {
  CASES[`${mode}() with a durability that is not one`] = [
    ({ log }) => log[mode]({ durability: "most" as Anything }),
    TypeError,
    /^Cannot flush '\/log' as 'durability' must be "none", "data" or "full": received "most"$/,
  ];
}

// Segments
each(
  [-1, 0.5, NaN, 2 ** 53],
  (value) => `SegmentReader with firstOffset ${value}`,
  (value) => [
    ({ files }) => new SegmentReader({ ...files, firstOffset: value }),
    RangeError,
    new RegExp(
      `^Cannot read segment as 'firstOffset' must be an integer .* received ${value}$`,
    ),
  ],
);
each(
  [-1, 0.5, NaN, 2 ** 53],
  (value) => `SegmentWriter with firstOffset ${value}`,
  (value) => [
    ({ files }) => SegmentWriter.create({ ...files, firstOffset: value }),
    RangeError,
    new RegExp(
      `^Cannot write segment as 'firstOffset' must be an integer .* received ${value}$`,
    ),
  ],
);
each(
  ["log", "index"],
  (name) => `SegmentReader and SegmentWriter with a ${name} that is not a file`,
  (name) => [
    async ({ files }) => {
      const options = { ...files, firstOffset: 0, [name]: "a/path" };
      await SegmentWriter.create(options).then(
        () => {
          throw new Error("no error");
        },
        (error) =>
          assertMatch(
            error.message,
            /^Cannot write segment as '(log|index)' must be an open file/,
          ),
      );
      new SegmentReader(options);
    },
    TypeError,
    new RegExp(
      `^Cannot read segment as '${name}' must be an open file, such as a DirectFile: received string$`,
    ),
  ],
);

for (const [name, [run, error, says]] of Object.entries(CASES)) {
  Deno.test(`${name} is a ${error.name} that names valid values`, async () => {
    const disk = new SimulatedDisk();
    const pool = testPool();
    const options = { storage: disk, pool, prepareBytes: 0 };
    const log = await Log.open("/log", options);
    log.append("one");
    await log.flush();
    const open = (name: string) =>
      disk.openSync(name, { write: true, create: true });
    const files = {
      log: open("/segment.log"),
      index: open("/segment.index"),
      pool,
    };
    const detached = new Uint8Array(8);
    detached.buffer.transfer();
    const before = disk.hash();
    let thrown: unknown;
    try {
      await run({ disk, options, log, files, detached });
    } catch (error) {
      thrown = error;
    }
    assertInstanceOf(thrown, error, String(thrown));
    assertMatch((thrown as Error).message, says);
    assertEquals(disk.hash(), before);
    assertEquals(log.nextOffset, 1);
    await log.close();
    for (const file of [files.log, files.index]) await file.close();
    pool.close();
  });
}

Deno.test("Log.open() and other calls with the path of a log take a file URL, too", async () => {
  const storage = new SimulatedDisk();
  const pool = testPool();
  const options = { storage, pool, prepareBytes: 0 };
  const path = new URL("file:///log");
  {
    await using log = await Log.open(path, options);
    log.append("one");
  }
  assertEquals((await inspectLog(path, options)).nextOffset, 1);
  assertEquals(inspectLogSync(path, options).path, "/log");
  assertEquals(verifyLogSync(path, options).next().done, true);
  assertEquals(planRepairSync(path, options).needed, false);
  for (using batch of new LogReader(path, options).readSync()) {
    assertEquals(batch.count, 1);
  }
  pool.close();
});
