import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { constants } from "node:fs";
import {
  engine,
  FLAGS,
  isEngineIdle,
  OPERATION,
} from "../../lib/engine/mod.ts";
import { native, STATUS } from "../../lib/native/mod.ts";
import { FILES } from "../permissions.ts";
import { Adopted, TemporaryDirectory } from "./_files.ts";
import {
  type Operation,
  operation,
  OperationFailed,
  runSync,
  start,
  submit,
} from "./_operations.ts";

Deno.test("engine() is one object, and gives the reason for its kind", () => {
  assert(engine() === engine());
  const { kind, reason } = engine();
  const named = Deno.permissions.querySync({ name: "env" }).state === "granted"
    ? Deno.env.get("BASALT_ENGINE") ?? kind
    : kind;
  assertEquals(kind, named);
  const words = {
    uring: /io_uring/,
    threads: /threads of the library/,
    plain: /in place/,
  };
  assert(words[kind].test(reason), reason);
  assertEquals(engine().pending, 0);
});

Deno.test("engine() names an unknown handle, opcode or flag", async () => {
  const cases: [Operation, number, string][] = [
    [
      operation(OPERATION.SYNC_DATA, 0),
      STATUS.NO_SUCH_HANDLE,
      "NO_SUCH_HANDLE",
    ],
    [
      operation({ ...OPERATION.READ, code: 77 }, 0),
      STATUS.BAD_ARGUMENT,
      "BAD_ARGUMENT",
    ],
    [
      operation(OPERATION.SYNC_FULL, 0, { flags: FLAGS.SYNC }),
      STATUS.BAD_ARGUMENT,
      "BAD_ARGUMENT",
    ],
  ];
  for (const [each, status, code] of cases) {
    const thrown = assertThrows(() => runSync(each), OperationFailed);
    const rejected = await assertRejects(
      () => submit(each),
      OperationFailed,
    );
    for (const error of [thrown, rejected]) {
      assertEquals(
        [error.status, error.code, error.transferred],
        [status, code, 0],
      );
    }
  }
  assertEquals(engine().pending, 0);
});

Deno.test({
  name: "engine() sets sizes, allocates and syncs, in flight and in place",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    const path = `${directory.path}/sizes`;
    using file = new Adopted(path);
    const size = () => Deno.statSync(path).size;
    const large = 2 ** 33 + 5;
    for (
      const run of [
        (each: Operation) => submit(each),
        (each: Operation) => Promise.resolve(runSync(each)),
      ]
    ) {
      assertEquals(
        await run(
          operation(OPERATION.TRUNCATE, file.handle, { position: large }),
        ),
        0,
      );
      assertEquals(size(), large);
      await run(operation(OPERATION.TRUNCATE, file.handle));
      assertEquals(size(), 0);
      assertEquals(
        await run(
          operation(OPERATION.ALLOCATE, file.handle, {
            position: 4096,
            length: 8192,
          }),
        ),
        0,
      );
      assertEquals(size(), 12288);
      assertEquals(await run(operation(OPERATION.SYNC_DATA, file.handle)), 0);
      assertEquals(await run(operation(OPERATION.SYNC_FULL, file.handle)), 0);
    }
  },
});

Deno.test({
  name: "engine() reports the kernel's result",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    using file = new Adopted(`${directory.path}/read_only`, constants.O_RDONLY);
    const cases: [Operation, string][] = [
      [operation(OPERATION.TRUNCATE, file.handle, { position: 1 }), "EINVAL"],
      [operation(OPERATION.ALLOCATE, file.handle, { length: 4096 }), "EBADF"],
    ];
    for (const [each, code] of cases) {
      const rejected = await assertRejects(
        () => submit(each),
        OperationFailed,
        code,
      );
      const thrown = assertThrows(() => runSync(each), OperationFailed);
      assertEquals([rejected.code, thrown.code], [code, code]);
      assertEquals(rejected.status, thrown.status);
    }
  },
});

Deno.test({
  name: "engine() completes each of 10,000 operations submitted at once",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    using file = new Adopted(`${directory.path}/many`);
    const results = Array.from(
      { length: 10_000 },
      (_, i) =>
        submit(
          // Every seventh fails, because there is nothing to allocate.
          i % 7 === 0
            ? operation(OPERATION.ALLOCATE, file.handle)
            : operation(OPERATION.TRUNCATE, file.handle, { position: i }),
        ),
    );
    assertEquals(engine().pending, 10_000);
    const settled = await Promise.allSettled(results);
    settled.forEach((each, i) => {
      assertEquals(each.status, i % 7 === 0 ? "rejected" : "fulfilled");
      if (each.status === "rejected") assertEquals(each.reason.code, "EINVAL");
    });
    assertEquals(engine().pending, 0);
  },
});

Deno.test({
  name:
    "engine() starts operations that wait for a slot in the order of submission",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    using file = new Adopted(`${directory.path}/order`);
    const order: number[] = [];
    const places = Number(/at most (\d+)/.exec(engine().reason)![1]);
    // Refused operations end when they are started, so the order of rejections is the order of
    // starting.
    const valid = Array.from(
      { length: places },
      () => submit(operation(OPERATION.SYNC_DATA, file.handle)),
    );
    const refused = Array.from(
      { length: 100 },
      (_, i) =>
        submit(operation(OPERATION.SYNC_DATA, 0)).catch(() => {
          order.push(i);
        }),
    );
    await Promise.resolve();
    assertEquals(order, [], "all slots were taken");
    await Promise.all([...valid, ...refused]);
    assertEquals(order, Array.from({ length: 100 }, (_, i) => i));
  },
});

Deno.test({
  name:
    "Engine.settleSync() blocks until every operation has completed, and settles their promises before it returns",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    const path = `${directory.path}/settle`;
    using file = new Adopted(path);
    for (const warm of [false, true]) {
      let settled = 0;
      const results = Array.from({ length: 6000 }, (_, i) =>
        submit(
          operation(OPERATION.TRUNCATE, file.handle, {
            position: 4096 + i % 2,
          }),
        ).then((value) => {
          settled++;
          return value;
        }));
      // The second time the reaper is already waiting.
      if (warm) await new Promise((resolve) => setTimeout(resolve, 1));
      const before = settled;
      engine().settleSync();
      assertEquals(engine().pending, 0);
      assertEquals(settled, before);
      await Promise.resolve();
      assertEquals(settled, 6000, "at the end of the caller's turn");
      // A handle may be closed now. Later operations are not mixed up with completed ones.
      results.push(
        submit(operation(OPERATION.SYNC_DATA, file.handle)),
      );
      assertEquals(await Promise.all(results), results.map(() => 0));
    }
    engine().settleSync();
  },
});

Deno.test({
  name:
    "Engine.settleSync() inside a completion also settles other completed operations",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    using file = new Adopted(`${directory.path}/nested`);
    const sync = (told: () => void) =>
      start(operation(OPERATION.SYNC_DATA, file.handle), told);
    for (const isBlocking of [false, true]) {
      const over: string[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      sync(() => {
        over.push("first");
        sync(() => over.push("begun within"));
        runSync(operation(OPERATION.TRUNCATE, file.handle, { position: 1 }));
        engine().settleSync();
        over.push("end of first");
        // The operation that this starts is in flight when `settleSync` returns.
        sync(() => {
          over.push("last");
          resolve();
        });
      });
      sync(() => over.push("second"));
      if (isBlocking) {
        engine().settleSync();
        assertEquals(engine().pending, 1);
        assertEquals(over.length, 4);
      }
      await promise;
      assertEquals(over.toSorted(), [
        "begun within",
        "end of first",
        "first",
        "last",
        "second",
      ]);
      // Both had been started before the first one was settled.
      assertEquals(over.at(-1), "last");
      assert(over.indexOf("begun within") < over.indexOf("end of first"));
    }
  },
});

Deno.test({
  name: "Engine.isIdle is true once everything has completed and was reported",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    using file = new Adopted(`${directory.path}/idle`);
    assert(engine().isIdle);
    const seen: boolean[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    start(operation(OPERATION.SYNC_DATA, file.handle), () => {
      seen.push(engine().isIdle);
      resolve();
    });
    assertEquals(engine().isIdle, false);
    await promise;
    assertEquals(seen, [true]);
    assertEquals(isEngineIdle(), true);
  },
});

Deno.test({
  name: "Engine.runSync() works while others are in flight",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    const path = `${directory.path}/both`;
    using file = new Adopted(path);
    using other = new Adopted(`${directory.path}/other`);
    const results: Promise<number>[] = [];
    for (let i = 1; i <= 200; i++) {
      results.push(
        submit(operation(OPERATION.SYNC_FULL, other.handle)),
      );
      runSync(operation(OPERATION.TRUNCATE, file.handle, { position: i }));
      assertEquals(Deno.statSync(path).size, i);
    }
    assertEquals(await Promise.all(results), results.map(() => 0));
  },
});

Deno.test({
  name: "engine() finishes operations on a handle that is closed meanwhile",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    const file = new Adopted(`${directory.path}/closed`);
    const results = Array.from(
      { length: 300 },
      () => submit(operation(OPERATION.SYNC_FULL, file.handle)),
    );
    // They reach the library at the end of the turn, and hold the file from then on.
    await Promise.resolve();
    file[Symbol.dispose]();
    assertEquals(await Promise.all(results), results.map(() => 0));
    await assertRejects(
      () => submit(operation(OPERATION.SYNC_FULL, file.handle)),
      OperationFailed,
      "NO_SUCH_HANDLE",
    );
    assertEquals(
      native().basalt_file_close(file.handle),
      STATUS.NO_SUCH_HANDLE,
    );
  },
});
