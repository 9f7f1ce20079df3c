import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BufferPool, type PooledBuffer } from "../../lib/pool/mod.ts";
import { DirectFile, type DirectFileOptions } from "../../lib/storage/mod.ts";
import { FILES } from "../permissions.ts";
import { DIRECT, PLACES, TemporaryDirectory, TestPool } from "./_tiers.ts";

const CREATE = { read: true, write: true, createNew: true } as const;

/** A file of a test, with a pool and a block of its own. */
class Fixture implements Disposable {
  readonly dir: TemporaryDirectory;
  readonly pool = new TestPool({ limitBytes: 64 * 1024 * 1024 });
  readonly path: string;
  readonly file: DirectFile;
  readonly block: PooledBuffer;

  constructor(
    options: DirectFileOptions = {},
    directory: Deno.MakeTempOptions = {},
  ) {
    this.dir = new TemporaryDirectory(directory);
    this.path = this.dir.file("file");
    this.file = DirectFile.openSync(this.path, {
      ...CREATE,
      pool: this.pool,
      ...options,
    });
    this.block = this.pool.acquireSync(8192, { zeroed: true });
  }

  [Symbol.dispose](): void {
    this.file.closeSync();
    this.block.drop();
    this.pool[Symbol.dispose]();
    this.dir[Symbol.dispose]();
  }
}

function* messages(...calls: (() => unknown)[]): Generator<string> {
  for (const call of calls) {
    try {
      call();
      yield "no error";
    } catch (error) {
      yield `${(error as Error).name}: ${(error as Error).message}`;
    }
  }
}

for (const { name, options, directory } of PLACES) {
  Deno.test(
    `DirectFile.readAt() gives 500 bytes of 600 from 100, in place "${name}"`,
    { ignore: !FILES },
    async () => {
      using pool = new TestPool();
      const earlier = pool.acquireSync(4096);
      earlier.bytes.fill(0xee);
      earlier.drop();
      using dir = new TemporaryDirectory(directory);
      const content = Uint8Array.from({ length: 600 }, (_, i) => i % 200);
      Deno.writeFileSync(dir.file("x"), content);
      using file = DirectFile.openSync(dir.file("x"), { ...options, pool });
      for (const mode of ["async", "sync"]) {
        using buffer = mode === "async"
          ? await file.readAt(100, 600)
          : file.readAtSync(100, 600);
        assertEquals(buffer.bytes.slice(), content.slice(100));
        const reachable = new Uint8Array(buffer.bytes.buffer);
        assertEquals(reachable.indexOf(0xee), -1);
      }
      using behind = file.readAtSync(601, 10);
      assertEquals(behind.length, 0);
      // The whole block was read, but not even the file's own bytes before 601 are reachable.
      assert(new Uint8Array(behind.bytes.buffer).every((byte) => byte === 0));
      using far = await file.readAt(1_000_000, 10);
      assertEquals(
        [far.length, new Uint8Array(far.bytes.buffer).indexOf(0xee)],
        [
          0,
          -1,
        ],
      );
    },
  );

  Deno.test(
    `DirectFile.write() and read() move ranges of buffers in flight at a time, in place "${name}"`,
    { ignore: !FILES },
    async () => {
      using fixture = new Fixture(options, directory);
      const { file, pool } = fixture;
      const buffers = Array.from({ length: 32 }, (_, i) => {
        const buffer = pool.acquireSync(12288);
        buffer.bytes.fill(i + 1);
        return buffer;
      });
      const writes = buffers.map((buffer, i) =>
        file.write(buffer, i * 8192, { start: 4096, length: 8192 })
      );
      assertEquals(file.stats().inFlight, 32);
      assertThrows(
        () => buffers[0]!.bytes,
        TypeError,
        "lent to an operation in flight",
      );
      assertEquals(await Promise.all(writes), buffers.map(() => 8192));
      for (const buffer of buffers) buffer.bytes.fill(0);
      const reads = buffers.map((buffer, i) =>
        file.read(buffer, i * 8192, { start: 0, length: 8192 })
      );
      await Promise.all(reads);
      buffers.forEach((buffer, i) => {
        assert(buffer.bytes.subarray(0, 8192).every((byte) => byte === i + 1));
        assert(buffer.bytes.subarray(8192).every((byte) => byte === 0));
        buffer.drop();
      });
      assertEquals(file.stats(), {
        reads: 32,
        writes: 32,
        syncs: 0,
        resizes: 0,
        bytesRead: 32 * 8192,
        bytesWritten: 32 * 8192,
        inFlight: 0,
        errors: 0,
      });
    },
  );

  Deno.test(
    `DirectFile.close() waits for operations in flight, in place "${name}"`,
    { ignore: !FILES },
    async () => {
      using fixture = new Fixture(options, directory);
      const { file, block, path } = fixture;
      block.bytes.fill(9);
      const order: string[] = [];
      const write = file.write(block, 0, { durability: "data" }).then(() =>
        order.push("write")
      );
      const closing = file.close().then(() => order.push("close"));
      await assertRejects(
        () => file.size(),
        Deno.errors.BadResource,
        "the file was closed",
      );
      await Promise.all([write, closing, file.close()]);
      assertEquals(order, ["write", "close"]);
      assertEquals(Deno.readFileSync(path), new Uint8Array(8192).fill(9));
    },
  );

  Deno.test(
    `DirectFile.closeSync() blocks until operations in flight have ended, in place "${name}"`,
    { ignore: !FILES },
    async () => {
      using fixture = new Fixture(options, directory);
      const { file, block, path } = fixture;
      block.bytes.fill(9);
      const write = file.write(block, 0, { durability: "full" });
      file.closeSync();
      assertEquals(Deno.readFileSync(path), new Uint8Array(8192).fill(9));
      assertEquals(await write, 8192);
      assertEquals(file.stats().inFlight, 0);
      assertEquals(block.bytes[0], 9);
      file.closeSync();
      await file.close();
    },
  );
}

Deno.test(
  "DirectFile.settleSync() blocks until operations in flight have ended",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture();
    const { file, block, path } = fixture;
    block.bytes.fill(3);
    const write = file.write(block, 4096);
    file.settleSync();
    assertEquals(
      Deno.readFileSync(path).subarray(4096),
      new Uint8Array(8192).fill(3),
    );
    await write;
    file.settleSync();
  },
);

Deno.test(
  "DirectFile is closed by `using` and `await using`",
  { ignore: !FILES },
  async () => {
    using dir = new TemporaryDirectory();
    let first: DirectFile;
    {
      await using file = await DirectFile.open(dir.file("x"), CREATE);
      first = file;
    }
    assertThrows(() => first.sizeSync(), Deno.errors.BadResource);
    let second: DirectFile;
    {
      using file = DirectFile.openSync(dir.file("x"));
      second = file;
    }
    assertThrows(() => second.sizeSync(), Deno.errors.BadResource);
  },
);

Deno.test(
  "DirectFile methods report that it is closed",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture();
    const { file, block } = fixture;
    await file.close();
    const calls: (() => unknown)[] = [
      () => file.readSync(block, 0),
      () => file.writeSync(block, 0),
      () => file.readAtSync(0, 1),
      () => file.syncSync(),
      () => file.truncateSync(0),
      () => file.preallocateSync(0, 1),
      () => file.sizeSync(),
      () => file.statSync(),
      () => file.verifyDirectSync(),
    ];
    for (const call of calls) {
      assertThrows(
        call,
        Deno.errors.BadResource,
        "the file was closed",
      );
    }
    const starts: (() => Promise<unknown>)[] = [
      () => file.read(block, 0),
      () => file.write(block, 0),
      () => file.readAt(0, 1),
      () => file.sync(),
      () => file.truncate(0),
      () => file.preallocate(0, 1),
      () => file.size(),
      () => file.stat(),
      () => file.verifyDirect(),
    ];
    for (const start of starts) {
      await assertRejects(
        start,
        Deno.errors.BadResource,
        "the file was closed",
      );
    }
    assertEquals(block.state, "leased");
  },
);

Deno.test(
  "DirectFile refuses wrong positions and ranges before any system call, and names the argument, its value and valid ones",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture({ direct: "never" });
    const { file, block, path } = fixture;
    for (const wrong of [-1, 0.5, NaN, Infinity, 2 ** 53, 2 ** 54]) {
      const right =
        `must be an integer of at least 0, at most 2^53 - 1: received ${wrong}`;
      assertEquals([...messages(
        () => file.writeSync(block, wrong),
        () => file.readSync(block, wrong),
        () => file.readAtSync(wrong, 1),
        () => file.truncateSync(wrong),
        () => file.preallocateSync(wrong, 1),
      )], [
        `RangeError: Cannot write '${path}' as 'position' ${right}`,
        `RangeError: Cannot read '${path}' as 'position' ${right}`,
        `RangeError: Cannot read '${path}' as 'position' ${right}`,
        `RangeError: Cannot ftruncate '${path}' as 'length' ${right}`,
        `RangeError: Cannot fallocate '${path}' as 'position' ${right}`,
      ]);
      await assertRejects(() => file.write(block, wrong), RangeError, right);
      await assertRejects(() => file.truncate(wrong), RangeError, right);
    }
    const text = "4096" as unknown as number;
    assertEquals(
      [...messages(
        () => file.writeSync(block, text),
        () => file.writeSync(block, 0, { start: text }),
        () => file.writeSync(block, 0, { length: 0 }),
        () => file.writeSync(block, 0, { length: 8193 }),
        () => file.writeSync(block, 0, { start: 8192 }),
        () => file.readSync(block, 0, { start: 8000, length: 200 }),
        () => file.readSync(block, 2 ** 53 - 100),
        () => file.readAtSync(0, 0),
        () => file.readAtSync(0, 2 ** 30),
        () => file.preallocateSync(0, 0),
        () => file.preallocateSync(1, 2 ** 53 - 1),
      )],
      [
        `TypeError: Cannot write '${path}' as 'position' must be a number: received string`,
        `TypeError: Cannot write '${path}' as 'start' must be a number: received string`,
        `RangeError: Cannot write '${path}' as 'length' must be an integer from 1 to 8192: received 0`,
        `RangeError: Cannot write '${path}' as 'length' must be an integer from 1 to 8192: received 8193`,
        `RangeError: Cannot write '${path}' as 'start' must be an integer from 0 to 8191: received 8192`,
        `RangeError: Cannot read '${path}' as 'length' must be an integer from 1 to 192: received 200`,
        `RangeError: Cannot read '${path}' as 'position' must be an integer from 0 to ${
          2 ** 53 - 1 - 8192
        }: received ${2 ** 53 - 100}`,
        `RangeError: Cannot read '${path}' as 'length' must be an integer from 1 to 536870912: received 0`,
        `RangeError: Cannot read '${path}' as 'length' must be an integer from 1 to 536870912: received 1073741824`,
        `RangeError: Cannot fallocate '${path}' as 'length' must be an integer from 1 to ${
          2 ** 53 - 2
        }: received 0`,
        `RangeError: Cannot fallocate '${path}' as 'length' must be an integer from 1 to ${
          2 ** 53 - 2
        }: received ${2 ** 53 - 1}`,
      ].map((each, i) =>
        i === 9
          ? each.replace(
            `from 1 to ${2 ** 53 - 2}`,
            "of at least 1, at most 2^53 - 1",
          )
          : each
      ),
    );
    assertEquals({ ...file.stats(), size: file.sizeSync() }, {
      reads: 0,
      writes: 0,
      syncs: 0,
      resizes: 0,
      bytesRead: 0,
      bytesWritten: 0,
      inFlight: 0,
      errors: 0,
      size: 0,
    });
  },
);

Deno.test(
  "DirectFile refuses misaligned operands, and names the nearest valid values",
  { ignore: !DIRECT },
  () => {
    using fixture = new Fixture({ direct: "require" });
    const { file, block, path } = fixture;
    const { offsetAlignment: unit, memoryAlignment } = file.capabilities;
    const view = block.bytes;
    assertEquals([...messages(
      () => file.writeSync(block, unit + 1, { length: unit }),
      () => file.writeSync(block, 0, { length: unit + 1 }),
      () => file.readSync(block, 0, { length: 8191 }),
      () => file.readSync(block, 0, { start: 8000 }),
    )], [
      `RangeError: Cannot write '${path}' as 'position' must be a multiple of ${unit}: received ${
        unit + 1
      }, nearest are ${unit} and ${2 * unit}`,
      `RangeError: Cannot write '${path}' as 'length' must be a multiple of ${unit}: received ${
        unit + 1
      }, nearest are ${unit} and ${2 * unit}`,
      `RangeError: Cannot read '${path}' as 'length' must be a multiple of ${unit}: received 8191, nearest are ${
        8192 - unit
      } and 8192`,
      unit > 192
        ? `RangeError: Cannot read '${path}' as 'length' must be a multiple of ${unit}: received 192, and none lies between 1 and 192`
        : "no error",
    ]);
    // It was refused before the buffer was lent, so the view is still valid.
    assertEquals(view.length, 8192);
    if (memoryAlignment > 1) {
      const near = memoryAlignment === 1
        ? ""
        : `nearest are 0 and ${memoryAlignment}`;
      assertEquals([
        ...messages(() => file.writeSync(block, 0, { start: 1, length: unit })),
      ], [
        `RangeError: Cannot write '${path}' as 'start' must lie at a multiple of ${memoryAlignment} in memory: received 1, byte 1 of its block, ${near}`,
      ]);
      // The position in memory counts, not the position in the buffer.
      using rest = fixture.pool.acquireSync(16384);
      using head = rest.splitTo(memoryAlignment + 1);
      assertEquals(head.length, memoryAlignment + 1);
      assertThrows(
        () => file.writeSync(rest, 0, { length: unit }),
        RangeError,
        "in memory: received 0",
      );
      const start = memoryAlignment - 1;
      assertEquals(file.writeSync(rest, 0, { start, length: unit }), unit);
    }
    assertEquals(file.stats().writes, memoryAlignment > 1 ? 1 : 0);
  },
);

Deno.test(
  "DirectFile refuses what is not a pooled buffer, frozen buffers for reading, and plain buffers",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture({ direct: "never" });
    const { file, pool } = fixture;
    const bytes = new Uint8Array(4096) as unknown as PooledBuffer;
    assertThrows(
      () => file.writeSync(bytes, 0),
      TypeError,
      "'buffer' must be a buffer of a pool (BufferPool.acquire): received Uint8Array",
    );
    await assertRejects(
      () => file.read(null as unknown as PooledBuffer, 0),
      TypeError,
      "received null",
    );
    using frozen = pool.acquireSync(4096, { zeroed: true }).freeze();
    assertThrows(
      () => file.readSync(frozen as unknown as PooledBuffer, 0),
      TypeError,
      "is frozen",
    );
    assertEquals(
      await Promise.all([file.write(frozen, 0), file.write(frozen, 4096)]),
      [4096, 4096],
    );
    using plain = pool.acquireSync(100, { aligned: false });
    assertThrows(() => file.writeSync(plain, 0), TypeError);
    const dropped = pool.acquireSync(4096);
    dropped.drop();
    assertThrows(() => file.writeSync(dropped, 0), TypeError);
  },
);

Deno.test(
  "DirectFile takes buffers of any pool",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture();
    using other = new TestPool();
    using buffer = await other.acquire(4096, { zeroed: true });
    assertEquals(await fixture.file.write(buffer, 0), 4096);
  },
);

Deno.test(
  "DirectFile refuses an unknown durability",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture();
    const { file, block } = fixture;
    const wrong = "fsync" as "full";
    await assertRejects(
      () => file.write(block, 0, { durability: wrong }),
      TypeError,
      `'durability' must be "none", "data" or "full": received "fsync"`,
    );
    // Every object has this property.
    assertThrows(
      () => file.writeSync(block, 0, { durability: "toString" as "full" }),
      TypeError,
      `received "toString"`,
    );
    assertThrows(
      () => file.syncSync(wrong),
      TypeError,
      `'durability' must be "data" or "full": received "fsync"`,
    );
    await assertRejects(
      () => file.sync("none" as "full"),
      TypeError,
      `received "none"`,
    );
  },
);

Deno.test(
  "DirectFile reports that it was not opened for reading, or for writing",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture();
    const { block, path } = fixture;
    {
      using file = DirectFile.openSync(path);
      assertThrows(
        () => file.writeSync(block, 0),
        Deno.errors.BadResource,
        "not opened with 'write: true'",
      );
      await assertRejects(
        () => file.truncate(0),
        Deno.errors.BadResource,
        "not opened with 'write: true'",
      );
      file.syncSync();
    }
    using file = DirectFile.openSync(path, { write: true });
    assertThrows(
      () => file.readSync(block, 0),
      Deno.errors.BadResource,
      "not opened with 'read: true'",
    );
    await assertRejects(
      () => file.readAt(0, 1),
      Deno.errors.BadResource,
      "not opened with 'read: true'",
    );
    assertEquals(await file.write(block, 0), 8192);
  },
);

Deno.test(
  "DirectFile.readAt() stops waiting for the pool when its signal is aborted",
  { ignore: !FILES },
  async () => {
    using dir = new TemporaryDirectory();
    using pool = new TestPool({ limitBytes: 4096, onWarning: () => {} });
    using file = DirectFile.openSync(dir.file("x"), { ...CREATE, pool });
    using all = pool.acquireSync(4096);
    const controller = new AbortController();
    const read = file.readAt(0, 1, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assertRejects(() => read, Error, "enough");
    assertEquals(all.length, 4096);
  },
);

Deno.test(
  "DirectFile.stat() returns what Deno.stat returns",
  { ignore: !FILES },
  async () => {
    using fixture = new Fixture();
    const { file, block, path } = fixture;
    await file.write(block, 0);
    await file.truncate(5000);
    const [stat, expected] = [await file.stat(), Deno.statSync(path)];
    assertEquals(stat, file.statSync());
    assertEquals([
      stat.size,
      stat.blocks,
      stat.mode,
      stat.inode,
      stat.links,
      stat.blockSize,
    ], [
      5000,
      expected.blocks!,
      expected.mode!,
      expected.ino!,
      1,
      expected.blksize!,
    ]);
    assertEquals(
      Math.floor(stat.mtimeMicros / 1000),
      expected.mtime!.getTime(),
    );
    assertEquals(await file.size(), 5000);
  },
);

Deno.test(
  "DirectFile.verifyDirect() proves a direct file",
  { ignore: !DIRECT },
  async () => {
    using fixture = new Fixture({ direct: "require" });
    const { file, block } = fixture;
    const empty = await file.verifyDirect();
    assertEquals([empty.direct, empty.reason], [
      false,
      "the file is empty: there is no block to read",
    ]);
    await file.write(block, 0);
    for (const proof of [await file.verifyDirect(), file.verifyDirectSync()]) {
      assertEquals([proof.direct, proof.cachedPages, proof.dirtyPages], [
        true,
        0,
        0,
      ]);
    }
  },
);

Deno.test(
  "DirectFile that was truncated within a page leaves nothing in the page cache once it is synced and closed",
  {
    ignore: !DIRECT,
  },
  async () => {
    for (const mode of ["sync", "async"]) {
      using fixture = new Fixture();
      const { file, block, path } = fixture;
      file.writeSync(block, 0);
      if (mode === "sync") {
        file.truncateSync(5000);
        file.syncSync("full");
        file.closeSync();
      } else {
        await file.truncate(5000);
        await file.sync("full");
        await file.close();
      }
      using again = DirectFile.openSync(path);
      assertEquals(again.verifyDirectSync().cachedPages, 0, mode);
      assertEquals(again.sizeSync(), 5000);
    }
  },
);

Deno.test("DirectFile.verifyDirect() proves nothing of a buffered file", {
  ignore: !DIRECT,
}, async () => {
  using fixture = new Fixture({ direct: "require" });
  const { file, block, path } = fixture;
  // Written directly, so none of it is in the page cache.
  for (let i = 0; i < 4; i++) await file.write(block, i * 8192);
  using buffered = DirectFile.openSync(path, { direct: "never" });
  const before = await buffered.verifyDirect();
  assertEquals(before.direct, false);
  assert(before.cachedPages > 0, before.reason);
  assert(before.reason.endsWith("after reading it is"), before.reason);
  for (let i = 0; i < 4; i++) buffered.readSync(block, i * 8192);
  const after = buffered.verifyDirectSync();
  assertEquals([after.direct, after.cachedPages], [false, 8]);
  assert(after.reason.includes("in the page cache already"), after.reason);
  // The buffered reads filled the cache, so the direct file cannot prove anything, and says
  // why.
  const direct = file.verifyDirectSync();
  assertEquals([direct.direct, direct.cachedPages], [false, 8]);
});

Deno.test("DirectFile.readAt() uses the default pool if none is given", {
  ignore: !FILES,
}, () => {
  using dir = new TemporaryDirectory();
  Deno.writeTextFileSync(dir.file("x"), "hello");
  using file = DirectFile.openSync(dir.file("x"));
  using buffer = file.readAtSync(1, 100);
  assertEquals(buffer.pool, BufferPool.default());
  assertEquals(new TextDecoder().decode(buffer.bytes), "ello");
});

Deno.test("DirectFile.readAt() returns the long unused tail of its block", {
  ignore: !FILES,
}, () => {
  using fixture = new Fixture();
  const { file, pool } = fixture;
  const earlier = pool.acquireSync(1024 * 1024);
  earlier.bytes.fill(0xee);
  earlier.drop();
  using part = pool.acquireSync(4096);
  part.bytes.fill(1);
  file.writeSync(part, 0);
  using buffer = file.readAtSync(10, 1024 * 1024 - 4096);
  assertEquals(buffer.length, 4086);
  assertEquals(buffer.bytes.buffer.byteLength, 4086);
  assert(buffer.bytes.every((byte) => byte === 1));
});
