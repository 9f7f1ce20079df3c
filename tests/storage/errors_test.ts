import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { OPERATION } from "../../lib/engine/mod.ts";
import { adapted, operationFailure } from "../../lib/storage/errors.ts";
import { LockedError, NoSpaceError } from "../../lib/storage/mod.ts";

const [EIO, EFBIG, ENOSPC, EDQUOT] = [5, 27, 28, 122];
const { SYNC_DATA, WRITE } = OPERATION;

Deno.test("operationFailure() gives NoSpaceError for a write without room, with what was written", () => {
  for (
    const [errno, code] of [[ENOSPC, "ENOSPC"], [EDQUOT, "EDQUOT"], [
      EFBIG,
      "EFBIG",
    ]] as const
  ) {
    const error = operationFailure(
      { op: WRITE, status: -errno, transferred: 4096, length: 8192 },
      "a.log",
    );
    assertInstanceOf(error, NoSpaceError);
    assertEquals(
      { ...(error as NoSpaceError) },
      {
        name: "NoSpaceError",
        code,
        syscall: "write",
        path: "a.log",
        requestedBytes: 8192,
        writtenBytes: 4096,
      },
    );
    const { message } = error as NoSpaceError;
    assert(message.endsWith("wrote 4096 of 8192 bytes"), message);
  }
});

Deno.test("operationFailure() gives no NoSpaceError for a sync, because it is unknown what was written", () => {
  const error = operationFailure(
    { op: SYNC_DATA, status: -ENOSPC, transferred: 0, length: 0 },
    "a.log",
  );
  assert(!(error instanceof NoSpaceError));
  assertEquals((error as { code?: string }).code, "ENOSPC");
});

Deno.test("operationFailure() gives a system error with code, syscall, path and advice", () => {
  const error = operationFailure(
    { op: WRITE, status: -EIO, transferred: 0, length: 1 },
    "a.log",
  ) as
    & Error
    & Record<string, unknown>;
  assertEquals([error.code, error.syscall, error.path], [
    "EIO",
    "write",
    "a.log",
  ]);
  assert(error.message.includes("what it stored is unknown"), error.message);
});

Deno.test("adapted() turns errors of node:fs into those of Deno, with code, syscall and path", () => {
  const classes = {
    ENOENT: Deno.errors.NotFound,
    EEXIST: Deno.errors.AlreadyExists,
    EISDIR: Deno.errors.IsADirectory,
    ENOTDIR: Deno.errors.NotADirectory,
    EACCES: Deno.errors.PermissionDenied,
    ELOOP: Deno.errors.FilesystemLoop,
  };
  for (const [code, type] of Object.entries(classes)) {
    const error = adapted(Object.assign(new Error(), { code }), "open", "a") as
      & Error
      & Record<string, unknown>;
    assertInstanceOf(error, type);
    assertEquals([error.code, error.syscall, error.path], [code, "open", "a"]);
  }
});

Deno.test("adapted() leaves permission errors and other errors as they are", () => {
  for (
    const error of [
      new Deno.errors.NotCapable("x"),
      Object.assign(new TypeError(), { code: "ERR_INVALID_ARG_VALUE" }),
    ]
  ) assertEquals(adapted(error, "open", "a"), error);
});

Deno.test("NoSpaceError.withDurableOffset() is the same error with the offset, and its cause", () => {
  const error = new NoSpaceError({
    code: "ENOSPC",
    syscall: "write",
    path: "a.log",
    requestedBytes: 8192,
    writtenBytes: 0,
  });
  const told = error.withDurableOffset(42);
  assertEquals([told.durableOffset, told.requestedBytes], [42, 8192]);
  assertEquals(told.cause, error);
  assert(told.message.endsWith("durable up to offset 42"), told.message);
});

Deno.test("LockedError names the directory and the owner", () => {
  const since = Date.UTC(2026, 0, 2) * 1000;
  const error = new LockedError("/data", { pid: 7, since });
  assertEquals([error.path, error.pid, error.since], ["/data", 7, since]);
  assertEquals(
    error.message,
    "Cannot lock '/data': process 7, since 2026-01-02T00:00:00.000Z, holds it",
  );
  const other = new LockedError("/data", "whoever has 'a.log' open");
  assertEquals([other.pid, other.since], [undefined, undefined]);
  assertEquals(
    other.message,
    "Cannot lock '/data': whoever has 'a.log' open holds it",
  );
  assertEquals(
    new LockedError("/data").message,
    "Cannot lock '/data': another process or log holds it",
  );
});
