/**
 * Fills the filesystem of a directory with a log, and prints the outcome. Then continues with the
 * filesystem mounted read-only.
 */
import { BufferPool, Log, LogReader, verifyLog } from "@basalt/io";
import { DiskStorage } from "@basalt/io/storage";
import { NoSpaceError } from "../../lib/storage/mod.ts";
import { payload } from "../log/_support.ts";

const dir = Deno.args[0]!;
const readOnly = new Deno.Command("mount", {
  args: ["-o", "remount,ro", dir],
});
const LENGTH = 60_000;
/** Space that is left for the log, in bytes. */
const ROOM = 8 * 1024 * 1024;

const pool = new BufferPool();
const storage = new DiskStorage({ pool });
const path = `${dir}/log`;
const ballast = `${dir}/ballast`;

/** Takes blocks until the filesystem has no more free space than that. */
async function fill(): Promise<void> {
  const { stdout } = await new Deno.Command("df", {
    args: ["--output=avail", "-B1", dir],
  }).output();
  const free = Number(new TextDecoder().decode(stdout).trim().split("\n")[1]);
  const bytes = new Uint8Array(1024 * 1024).fill(1);
  using file = Deno.openSync(ballast, { write: true, create: true });
  for (let left = free - ROOM; left > 0; left -= bytes.length) {
    file.writeSync(bytes);
  }
  file.syncSync();
}

/** Counts the messages. Each must be as it was appended. */
async function count(source: Log | LogReader): Promise<number> {
  let offset = 0;
  for await (using batch of source.read()) {
    for (let i = 0; i < batch.count; i++, offset++) {
      const expected = payload(offset, LENGTH);
      const found = batch.payload(i);
      if (found.some((byte, at) => byte !== expected[at])) {
        throw new Error(`message ${offset} is different`);
      }
    }
  }
  return offset;
}

async function thrown(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("no error");
}

await fill();
const options = { storage, pool, segmentBytes: 2 * 1024 * 1024 };
const log = await Log.open(path, { ...options, prepareBytes: 512 * 1024 });
const { tier, logicalBlock, filesystem, copyOnWrite } = log.capabilities;
let full: unknown;
for (let i = 0; full === undefined && i < 2000; i++) {
  log.append(payload(i, LENGTH));
  try {
    await log.flush();
  } catch (error) {
    full = error;
  }
}
const noSpace = full instanceof NoSpaceError
  ? { code: full.code, exact: full.durableOffset === log.durableOffset }
  : String(full);
const durable = log.durableOffset;
const again = await thrown(() => log.flush());
const pending = log.nextOffset - durable;
// There is room again: the same messages are written, and the log continues.
Deno.removeSync(ballast);
await new Deno.Command("sync").output();
await log.flush();
const total = log.nextOffset;
const read = await count(log);
await log.close();
const faults = await Array.fromAsync(verifyLog(path, { storage, pool }));

const { success } = await readOnly.output();
const refused = await thrown(() => Log.open(path, options)) as {
  code?: string;
};
const beside = await count(new LogReader(path, { storage, pool }));
console.log(JSON.stringify({
  tier,
  logicalBlock,
  filesystem,
  copyOnWrite,
  noSpace,
  again: (again as Error).name,
  pending,
  total,
  read,
  faults: faults.length,
  readOnly: { success, code: refused.code, read: beside },
  inUseBytes: pool.stats().inUseBytes,
}));
