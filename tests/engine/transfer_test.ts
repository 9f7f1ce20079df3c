import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { constants } from "node:fs";
import {
  engine,
  FLAGS,
  OPERATION,
  type OperationKind,
} from "../../lib/engine/mod.ts";
import { native, STATUS } from "../../lib/native/mod.ts";
import { BufferPool, type PooledBuffer } from "../../lib/pool/mod.ts";
import { FILES } from "../permissions.ts";
import { Adopted, pattern, TemporaryDirectory } from "./_files.ts";
import {
  type Operation,
  operation,
  OperationFailed,
  runSync,
  submit,
} from "./_operations.ts";

const O_DIRECT = (constants as unknown as { O_DIRECT: number }).O_DIRECT;

/** The ways to run an operation: in flight or in place. */
const WAYS: Record<string, (operation: Operation) => Promise<number>> = {
  start: submit,
  runSync: (operation) => new Promise((resolve) => resolve(runSync(operation))),
};

/** Moves bytes like the storage: lends the buffer, runs the operation, ends the loan. */
async function transfer(
  way: keyof typeof WAYS,
  pool: BufferPool,
  buffer: PooledBuffer,
  request: { kind: OperationKind; file: number; position: number } & {
    flags?: number;
    start?: number;
    length?: number;
  },
): Promise<number> {
  const { kind, file, position, flags = 0, start = 0 } = request;
  const length = request.length ?? buffer.length - start;
  const access = kind === OPERATION.READ ? "write" : "read";
  const loan = pool.lend(buffer, start, length, access);
  try {
    const fields = { flags, loan, position, length };
    return await WAYS[way]!(operation(kind, file, fields));
  } finally {
    loan.end();
  }
}

for (const way of Object.keys(WAYS)) {
  Deno.test({
    name:
      `Engine.${way}() writes and reads back, with each flag, at near and far positions`,
    ignore: !FILES,
    async fn() {
      using pool = new BufferPool();
      using directory = new TemporaryDirectory();
      const path = `${directory.path}/bytes`;
      using file = new Adopted(path);
      const far = 2 ** 32 + 12345;
      for (const flags of [0, FLAGS.DSYNC, FLAGS.SYNC]) {
        for (const position of [0, 77, far]) {
          const expected = pattern(10_000, flags * 10 + position);
          using out = pool.acquireSync(20_000);
          out.bytes.set(expected, 5_000);
          const written = await transfer(way, pool, out, {
            kind: OPERATION.WRITE,
            file: file.handle,
            position,
            flags,
            start: 5_000,
            length: 10_000,
          });
          assertEquals(written, 10_000);
          using back = pool.acquireSync(20_000, { zeroed: true });
          const read = await transfer(way, pool, back, {
            kind: OPERATION.READ,
            file: file.handle,
            position,
            start: 100,
            length: 10_000,
          });
          assertEquals(read, 10_000);
          assertEquals(back.bytes.subarray(100, 10_100), expected);
          assert(back.bytes.subarray(0, 100).every((byte) => byte === 0));
          assert(back.bytes.subarray(10_100).every((byte) => byte === 0));
        }
      }
      assertEquals(Deno.statSync(path).size, far + 10_000);
    },
  });

  Deno.test({
    name:
      `Engine.${way}() reads less only at the end of the file, also with direct I/O`,
    ignore: !FILES,
    async fn() {
      using pool = new BufferPool();
      using directory = new TemporaryDirectory();
      const path = `${directory.path}/end`;
      for (const size of [0, 1, 600, 4096, 4097, 12_800, 70_000]) {
        const bytes = pattern(size, size);
        Deno.writeFileSync(path, bytes);
        for (const flags of [0, O_DIRECT]) {
          let file: Adopted;
          try {
            file = new Adopted(path, constants.O_RDONLY | flags);
          } catch (error) {
            // A filesystem without direct I/O.
            assertEquals((error as { code?: string }).code, "EINVAL");
            continue;
          }
          using _file = file;
          for (const position of [0, 4096, 65_536, 131_072]) {
            using buffer = pool.acquireSync(65_536);
            buffer.bytes.fill(0xaa);
            const read = await transfer(way, pool, buffer, {
              kind: OPERATION.READ,
              file: file.handle,
              position,
            });
            const expected = bytes.subarray(position, position + 65_536);
            assertEquals(read, expected.length, `${size} bytes at ${position}`);
            assertEquals(buffer.bytes.subarray(0, read), expected);
          }
        }
      }
    },
  });

  Deno.test({
    name: `Engine.${way}() reports failures of transfers`,
    ignore: !FILES,
    async fn() {
      using pool = new BufferPool();
      using directory = new TemporaryDirectory();
      const path = `${directory.path}/failures`;
      using reading = new Adopted(path, constants.O_RDONLY);
      using writing = new Adopted(path, constants.O_WRONLY);
      using full = new Adopted("/dev/full", constants.O_WRONLY);
      using buffer = pool.acquireSync(8192);
      const cases: [OperationKind, Adopted, string][] = [
        [OPERATION.WRITE, reading, "EBADF"],
        [OPERATION.READ, writing, "EBADF"],
        [OPERATION.WRITE, full, "ENOSPC"],
      ];
      for (const [kind, file, expected] of cases) {
        const error = await assertRejects(
          () =>
            transfer(way, pool, buffer, {
              kind,
              file: file.handle,
              position: 0,
            }),
          OperationFailed,
          expected,
        );
        assertEquals([error.code, error.transferred], [expected, 0]);
      }
      assertEquals(buffer.state, "leased");
    },
  });

  Deno.test({
    name:
      `Engine.${way}() refuses a loan that has ended, and a length beyond the block`,
    ignore: !FILES,
    async fn() {
      using pool = new BufferPool();
      using directory = new TemporaryDirectory();
      using file = new Adopted(`${directory.path}/loans`);
      const buffer = pool.acquireSync(8192);
      const loan = pool.lend(buffer, 0, 4096, "read");
      const write = (length: number) =>
        operation(OPERATION.WRITE, file.handle, { loan, length });
      const beyond = await assertRejects(
        () => WAYS[way]!(write(1 << 20)),
        OperationFailed,
      );
      assertEquals(beyond.status, STATUS.BAD_ARGUMENT);
      loan.end();
      buffer.drop();
      pool.trim();
      const error = await assertRejects(
        () => WAYS[way]!(write(4096)),
        OperationFailed,
      );
      assert(
        ["NO_SUCH_HANDLE", "NOT_OWNER"].includes(error.code),
        error.code,
      );
    },
  });
}

Deno.test({
  name: "Engine.start() reads 10,000 blocks at once, each into its own buffer",
  ignore: !FILES,
  async fn() {
    using pool = new BufferPool();
    using directory = new TemporaryDirectory();
    const path = `${directory.path}/many`;
    const bytes = pattern(1 << 20);
    Deno.writeFileSync(path, bytes);
    using file = new Adopted(path, constants.O_RDONLY);
    const position = (i: number) => i * 977 % (bytes.length - 64);
    await Promise.all(
      Array.from({ length: 10_000 }, async (_, i) => {
        using buffer = pool.acquireSync(64, { aligned: true });
        const read = await transfer("start", pool, buffer, {
          kind: OPERATION.READ,
          file: file.handle,
          position: position(i),
        });
        assertEquals(read, 64);
        const expected = bytes.subarray(position(i), position(i) + 64);
        assert(buffer.bytes.every((byte, at) => byte === expected[at]));
      }),
    );
    assertEquals(engine().pending, 0);
    assertEquals(pool.stats().inUseBytes, 0);
  },
});

Deno.test({
  name: "Engine.start() keeps a buffer alive that its owners dropped",
  ignore: !FILES,
  async fn() {
    using pool = new BufferPool({ limitBytes: 1 << 20, onWarning: () => {} });
    using directory = new TemporaryDirectory();
    const path = `${directory.path}/dropped`;
    using file = new Adopted(path);
    const expected = pattern(65_536);
    const results = Array.from({ length: 16 }, (_, i) => {
      const buffer = pool.acquireSync(65_536);
      buffer.bytes.set(expected);
      const done = transfer("start", pool, buffer, {
        kind: OPERATION.WRITE,
        file: file.handle,
        position: i * 65_536,
        flags: FLAGS.DSYNC,
      });
      buffer.drop();
      return done;
    });
    assertThrows(() => pool.acquireSync(4096));
    assertEquals(await Promise.all(results), results.map(() => 65_536));
    for (let i = 0, all = Deno.readFileSync(path); i < 16; i++) {
      assertEquals(all.subarray(i * 65_536, (i + 1) * 65_536), expected);
    }
    pool.acquireSync(1 << 20).drop();
  },
});

Deno.test({
  name: "Engine.start() writes uncached where the system can",
  ignore: !FILES,
  async fn() {
    using pool = new BufferPool();
    using directory = new TemporaryDirectory();
    const path = `${directory.path}/uncached`;
    using file = new Adopted(path);
    using buffer = pool.acquireSync(1 << 20);
    buffer.bytes.set(pattern(1 << 20));
    const can = native().basalt_file_probe_uncached(file.handle);
    const write = () =>
      transfer("start", pool, buffer, {
        kind: OPERATION.WRITE,
        file: file.handle,
        position: 0,
        flags: FLAGS.DONTCACHE,
      });
    if (can === 1) assertEquals(await write(), 1 << 20);
    else await assertRejects(write, OperationFailed, "EOPNOTSUPP");
  },
});
