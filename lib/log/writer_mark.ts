import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { LockOwner, TaskStorage } from "../storage/mod.ts";
import { createFile, removeFile, syncDirectory } from "./directory.ts";
import { join, WRITER_MARK } from "./names.ts";
import { closeFile, openIfThere } from "./segment_files.ts";

/** Leaves the mark of this process, durably: its id and the time, in microseconds, at which it opened the log. */
export function* leaveMark(
  storage: TaskStorage,
  dir: string,
  pool: BufferPool,
): Task<void> {
  const path = join(dir, WRITER_MARK);
  yield* createFile(storage, path);
  const options = { write: true };
  const file = yield* storage.open(path, options);
  try {
    const length = file.capabilities.physicalBlock;
    using buffer = yield* acquire(pool, length, { zeroed: true });
    const text = `${Deno.pid} ${storage.now()}\n`;
    const { written } = new TextEncoder().encodeInto(text, buffer.bytes);
    yield* file.write(buffer, 0);
    yield* file.truncate(written);
    yield* file.sync("full");
  } finally {
    yield* closeFile(file);
  }
  yield* syncDirectory(storage, dir);
}

/** Removes the mark, durably: the log is closed. */
export function* removeMark(storage: TaskStorage, dir: string): Task<void> {
  yield* removeFile(storage, join(dir, WRITER_MARK));
  yield* syncDirectory(storage, dir);
}

/** Who left the mark; `undefined` if there is none that can be read. */
export function* readMark(
  storage: TaskStorage,
  dir: string,
  pool: BufferPool,
): Task<LockOwner | undefined> {
  const file = yield* openIfThere(storage, join(dir, WRITER_MARK));
  if (file === undefined) return undefined;
  try {
    const length = file.capabilities.physicalBlock;
    using buffer = yield* acquire(pool, length);
    const read = yield* file.read(buffer, 0);
    const text = new TextDecoder().decode(buffer.bytes.subarray(0, read));
    const [pid, time] = text.trim().split(" ");
    if (!/^\d{1,15}$/.test(pid ?? "") || !/^\d{1,16}$/.test(time ?? "")) {
      return undefined;
    }
    return { pid: Number(pid), since: Number(time) };
  } finally {
    yield* closeFile(file);
  }
}

/** Whether a writer has the log open now: it holds the lock. */
export function isLocked(storage: TaskStorage, dir: string): boolean {
  const lock = storage.lock(dir);
  lock?.release();
  return lock === undefined;
}
