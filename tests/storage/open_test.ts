import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { native, UnsupportedError } from "../../lib/native/mod.ts";
import { DirectFile, type DirectFileOptions } from "../../lib/storage/mod.ts";
import { ALL, FILES } from "../permissions.ts";
import {
  DIRECT,
  HAS_MEMORY,
  MEMORY,
  TemporaryDirectory,
  TestPool,
} from "./_tiers.ts";

/** Tries the async and the sync version, and returns the one error that both threw. */
async function failure(
  path: string | URL,
  options?: DirectFileOptions,
): Promise<Error & Record<string, unknown>> {
  const sync = assertThrows(() => DirectFile.openSync(path, options));
  const async = await assertRejects(() => DirectFile.open(path, options));
  assertEquals([async.constructor, async.message], [
    sync.constructor,
    sync.message,
  ]);
  return async as Error & Record<string, unknown>;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("DirectFile.open() refuses options that contradict each other, before it uses the path", async () => {
  const wrong: [unknown, typeof TypeError | typeof RangeError, string][] = [
    [
      { append: true },
      TypeError,
      "'append' is not offered, positions are explicit",
    ],
    [{ read: false }, TypeError, "neither 'read' nor 'write' is true"],
    [{ create: true }, TypeError, "'create' needs 'write: true'"],
    [
      { createNew: true, read: true },
      TypeError,
      "'createNew' needs 'write: true'",
    ],
    [{ truncate: true }, TypeError, "'truncate' needs 'write: true'"],
    [{ write: 1 }, TypeError, "'write' must be a boolean: received number"],
    [
      { direct: "yes" },
      TypeError,
      `'direct' must be "require", "prefer" or "never": received "yes"`,
    ],
    [
      { mode: 0o10000 },
      RangeError,
      "'mode' must be an integer from 0 to 0o7777: received 4096",
    ],
    [
      { mode: 1.5 },
      RangeError,
      "'mode' must be an integer from 0 to 0o7777: received 1.5",
    ],
    [{ pool: {} }, TypeError, "'pool' must be a BufferPool: received object"],
  ];
  for (const [options, type, message] of wrong) {
    const error = await failure("/nowhere/x", options as DirectFileOptions);
    assert(
      error instanceof type && error.message.includes(message),
      error.message,
    );
  }
});

Deno.test("DirectFile.open() refuses a path with a NUL byte, and values that are not a path", async () => {
  const nul = await failure("/tmp/a\0b");
  assertEquals([nul.name, nul.message], [
    "TypeError",
    String
      .raw`Cannot open file as 'path' contains a NUL byte: received "/tmp/a\u0000b"`,
  ]);
  const number = await failure(7 as unknown as string);
  assertEquals(
    number.message,
    "Cannot open file as 'path' must be a string or a URL: received number",
  );
});

Deno.test(
  "DirectFile.open() throws the error classes of Deno.open, with code, syscall and path",
  { ignore: !FILES },
  async () => {
    using dir = new TemporaryDirectory();
    Deno.writeTextFileSync(dir.file("x"), "");
    Deno.symlinkSync("loop", dir.file("loop"));
    const cases: [string, DirectFileOptions & Deno.OpenOptions][] = [
      ["missing", {}],
      ["missing/x", { write: true, create: true }],
      ["x", { write: true, createNew: true }],
      ["x/y", {}],
      ["loop", {}],
      ["n".repeat(300), {}],
    ];
    for (const [name, options] of cases) {
      const path = dir.file(name);
      const expected = assertThrows(() =>
        Deno.openSync(path, { read: !options.write, ...options })
      ) as Error & { code: string };
      const error = await failure(path, options);
      assertEquals(error.constructor, expected.constructor);
      assertEquals([error.code, error.syscall, error.path], [
        expected.code,
        "open",
        path,
      ]);
    }
  },
);

Deno.test(
  "DirectFile.open() names the type of what is not a regular file, and does not wait for it",
  { ignore: !ALL },
  async () => {
    using dir = new TemporaryDirectory();
    for (
      const options of [{}, { direct: "never" }, {
        direct: "require",
      }] as DirectFileOptions[]
    ) {
      const directory = await failure(dir.path, options);
      assertEquals([directory.constructor, directory.code], [
        Deno.errors.IsADirectory,
        "EISDIR",
      ]);
      const written = await failure(dir.path, {
        ...options,
        write: true,
        create: true,
      });
      assertEquals(written.constructor, Deno.errors.IsADirectory);
      const device = await failure("/dev/null", options);
      assertEquals([device.constructor, device.found], [
        UnsupportedError,
        "a character device",
      ]);
    }
    const fifo = dir.file("fifo");
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    for (
      const options of [{}, { direct: "never" }, {
        read: true,
        write: true,
      }] as DirectFileOptions[]
    ) {
      const error = await failure(fifo, options);
      assertEquals([error.constructor, error.found], [
        UnsupportedError,
        "a FIFO",
      ]);
    }
    const unread = await failure(fifo, { write: true });
    assert(
      unread.code === "ENXIO" && unread.message.includes("FIFO"),
      unread.message,
    );
    assert(exists(fifo));
  },
);

Deno.test("DirectFile.open() takes file URLs, and follows links", {
  ignore: !FILES,
}, async () => {
  using dir = new TemporaryDirectory();
  Deno.symlinkSync("target", dir.file("link"));
  {
    await using file = await DirectFile.open(dir.file("link"), {
      write: true,
      create: true,
    });
    assertEquals(await file.size(), 0);
  }
  assert(Deno.lstatSync(dir.file("target")).isFile);
  await using file = await DirectFile.open(
    new URL(`file://${dir.path}/target`),
  );
  assertEquals(file.path, dir.file("target"));
});

Deno.test(
  "DirectFile.open() creates, keeps and truncates files as its options say",
  {
    ignore: !FILES,
  },
  async () => {
    using dir = new TemporaryDirectory();
    for (const direct of ["prefer", "never"] as const) {
      for (const mode of ["async", "sync"]) {
        const open = async (options: DirectFileOptions): Promise<number> => {
          const all = { ...options, direct };
          using file = mode === "async"
            ? await DirectFile.open(path, all)
            : DirectFile.openSync(path, all);
          return file.sizeSync();
        };
        const path = dir.file(`${direct} ${mode}`);
        assertEquals(
          await open({ write: true, createNew: true, mode: 0o600 }),
          0,
        );
        assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
        Deno.writeTextFileSync(path, "hello");
        assertEquals(await open({ write: true, create: true }), 5);
        assertEquals(await open({ read: true, write: true }), 5);
        assertEquals(Deno.readTextFileSync(path), "hello");
        assertEquals(
          await open({ write: true, create: true, truncate: true }),
          0,
        );
        assertEquals(Deno.statSync(path).size, 0);
      }
    }
  },
);

Deno.test(
  "DirectFile.open() with `truncate` leaves the file as it was when opening fails",
  { ignore: !HAS_MEMORY },
  async () => {
    using dir = new TemporaryDirectory({ dir: MEMORY });
    Deno.writeTextFileSync(dir.file("x"), "hello");
    await failure(dir.file("x"), {
      write: true,
      truncate: true,
      direct: "require",
    });
    assertEquals(Deno.readTextFileSync(dir.file("x")), "hello");
  },
);

Deno.test(
  "DirectFile.open() reports the direct tier, its alignments and their sources",
  { ignore: !DIRECT },
  () => {
    using dir = new TemporaryDirectory();
    using file = DirectFile.openSync(dir.file("x"), {
      write: true,
      createNew: true,
    });
    const { capabilities } = file;
    assertEquals(capabilities.tier, "direct");
    assert(
      capabilities.tierReason.startsWith("O_DIRECT, confirmed by statx"),
      capabilities.tierReason,
    );
    for (
      const name of [
        "memoryAlignment",
        "offsetAlignment",
        "readOffsetAlignment",
        "logicalBlock",
        "physicalBlock",
      ] as const
    ) {
      const value = capabilities[name];
      assert(Number.isInteger(Math.log2(value)), `${name} is ${value}`);
    }
    assert(capabilities.physicalBlock >= capabilities.logicalBlock);
    assert(capabilities.physicalBlock >= capabilities.offsetAlignment);
    for (
      const name of [
        "alignmentReason",
        "physicalBlockReason",
        "engineReason",
      ] as const
    ) {
      assert(capabilities[name].length > 10, name);
    }
    assert(!capabilities.filesystem.startsWith("0x"), capabilities.filesystem);
    assert(Object.isFrozen(capabilities));
  },
);

Deno.test(
  `DirectFile.open() with direct: "never" is buffered, and takes any position`,
  { ignore: !FILES },
  () => {
    using dir = new TemporaryDirectory();
    using pool = new TestPool();
    using file = DirectFile.openSync(dir.file("x"), {
      read: true,
      write: true,
      createNew: true,
      direct: "never",
      pool,
    });
    const { capabilities } = file;
    assertEquals([capabilities.tier, capabilities.tierReason], [
      "buffered",
      'asked for with direct: "never"',
    ]);
    assertEquals([
      capabilities.memoryAlignment,
      capabilities.offsetAlignment,
      capabilities.readOffsetAlignment,
    ], [1, 1, 1]);
    using buffer = pool.acquireSync(4096);
    buffer.bytes.fill(5);
    assertEquals(file.writeSync(buffer, 3, { start: 7, length: 11 }), 11);
    assertEquals(
      Deno.readFileSync(dir.file("x")),
      new Uint8Array([0, 0, 0, ...new Uint8Array(11).fill(5)]),
    );
  },
);

Deno.test(
  "DirectFile.open() does not trust tmpfs, which accepts O_DIRECT and ignores it",
  { ignore: !HAS_MEMORY },
  async () => {
    using dir = new TemporaryDirectory({ dir: MEMORY });
    const options = { read: true, write: true, createNew: true };
    for (const name of ["async", "sync"]) {
      using file = name === "async"
        ? await DirectFile.open(dir.file(name), options)
        : DirectFile.openSync(dir.file(name), options);
      const { tier, tierReason, filesystem } = file.capabilities;
      assertEquals([tier, filesystem], ["buffered", "tmpfs"]);
      assert(
        /^not direct: (tmpfs|the kernel).*; not uncached: /.test(tierReason),
        tierReason,
      );
    }
    const error = await failure(dir.file("x"), {
      ...options,
      direct: "require",
    });
    assert(error instanceof UnsupportedError);
    const found = String(error.found);
    assert(/tmpfs|O_DIRECT/.test(found), found);
    assert(
      !exists(dir.file("x")),
      "a file that opening created must be removed",
    );
    // A file that existed before stays.
    Deno.writeTextFileSync(dir.file("y"), "");
    await failure(dir.file("y"), {
      write: true,
      create: true,
      direct: "require",
    });
    assert(exists(dir.file("y")));
  },
);

Deno.test("DirectFile.open() leaks no descriptor when it fails", {
  ignore: !ALL || !HAS_MEMORY,
}, async () => {
  using dir = new TemporaryDirectory({ dir: MEMORY });
  const count = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  native();
  await failure(dir.file("x"), {
    write: true,
    create: true,
    direct: "require",
  });
  const before = count();
  for (let i = 0; i < 10; i++) {
    await failure(dir.file("x"), {
      write: true,
      create: true,
      direct: "require",
    });
    await failure(dir.path);
    await failure("/dev/null");
    await failure(dir.file("missing"));
    DirectFile.openSync(dir.file("z"), { write: true, create: true })
      .closeSync();
  }
  assertEquals(count(), before);
});
