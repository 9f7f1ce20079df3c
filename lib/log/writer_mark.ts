import type { BufferPool } from "../pool/mod.ts";
import {
  type LockOwner,
  step,
  type Storage,
  type Twin,
} from "../storage/mod.ts";
import { createFile, removeFile, syncDirectory } from "./directory.ts";
import { join, WRITER_MARK } from "./names.ts";
import { closeFile, openIfThere } from "./segment_files.ts";

/** Leaves the mark of this process, durably: its id and the time, in microseconds, at which it opened the log. */
export function* leaveMark(
  storage: Storage,
  dir: string,
  pool: BufferPool,
): Twin<void> {
  const path = join(dir, WRITER_MARK);
  yield* createFile(storage, path);
  const options = { write: true };
  const file = yield* step(
    () => storage.open(path, options),
    () => storage.openSync(path, options),
  );
  try {
    const length = file.capabilities.physicalBlock;
    using buffer = yield* step(
      () => pool.acquire(length, { zeroed: true }),
      () => pool.acquireSync(length, { zeroed: true }),
    );
    const text = `${Deno.pid} ${storage.now()}\n`;
    const { written } = new TextEncoder().encodeInto(text, buffer.bytes);
    yield* step(() => file.write(buffer, 0), () => file.writeSync(buffer, 0));
    yield* step(() => file.truncate(written), () => file.truncateSync(written));
    yield* step(() => file.sync("full"), () => file.syncSync("full"));
  } finally {
    yield* closeFile(file);
  }
  yield* syncDirectory(storage, dir);
}

/** Removes the mark, durably: the log is closed. */
export function* removeMark(storage: Storage, dir: string): Twin<void> {
  yield* removeFile(storage, join(dir, WRITER_MARK));
  yield* syncDirectory(storage, dir);
}

/** Who left the mark; `undefined` if there is none that can be read. */
export function* readMark(
  storage: Storage,
  dir: string,
  pool: BufferPool,
): Twin<LockOwner | undefined> {
  const file = yield* openIfThere(storage, join(dir, WRITER_MARK));
  if (file === undefined) return undefined;
  try {
    const length = file.capabilities.physicalBlock;
    using buffer = yield* step(
      () => pool.acquire(length),
      () => pool.acquireSync(length),
    );
    const read = yield* step(
      () => file.read(buffer, 0),
      () => file.readSync(buffer, 0),
    );
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
export function isLocked(storage: Storage, dir: string): boolean {
  const lock = storage.lock(dir);
  lock?.release();
  return lock === undefined;
}
