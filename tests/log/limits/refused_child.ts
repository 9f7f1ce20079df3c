/**
 * Writes, rolls, closes, recovers and reads a log where the system refuses a ring or memory. Prints
 * which calls failed, and what is on the disk.
 */
import { BufferPool, Log, LogReader, PoisonedError } from "../../../mod.ts";
import { DiskStorage } from "../../../storage.ts";
import { limit } from "../../native/_address_limit.ts";
import { PassingStorage } from "../_passing_storage.ts";
import { assertBytes } from "../recovery/_support.ts";
import { payload } from "../_support.ts";

const [root, refused, size] = Deno.args as [string, string, string];
const LENGTH = Number(size);
const MESSAGES = LENGTH > 1 << 20 ? 4 : 12;
/**
 * How many bytes the process may take besides what it has: enough for V8, threads and two messages.
 */
const HEADROOM = 40 * 1024 * 1024 + 2 * LENGTH;

/** Writes the same bytes in every run: its clock stands still, and its ids are numbered. */
class FixedStorage extends PassingStorage {
  #drawn = 0;
  override now(): number {
    return 1_700_000_000_000_000;
  }
  override random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return bytes.fill(++this.#drawn);
  }
}

if (refused === "ring") {
  await import(`data:text/javascript,${encodeURIComponent(Deno.args[3]!)}`);
}
const pool = new BufferPool({ limitBytes: 1 << 30 });
// Loads the library here, because its own memory is not what is refused.
pool.acquireSync(4096).drop();
const storage = new FixedStorage(new DiskStorage({ pool }));
const payloads = Array.from(
  { length: MESSAGES },
  (_, i) => payload(i, LENGTH + i),
);
const options = {
  storage,
  pool,
  segmentBytes: MESSAGES / 2 * (LENGTH + 64),
  bufferBytes: MESSAGES * (LENGTH + 64),
  prepareBytes: 0,
};
/** The errors, each with the name of its call. */
const errors: string[] = [];
let acknowledged = 0;
/** Whether a call succeeded. Its error must be that memory was refused. */
async function done(name: string, call: () => unknown): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    const reason = error instanceof PoisonedError ? error.cause : error;
    const { code, syscall } = reason as { code?: string; syscall?: string };
    if (refused !== "memory" || code !== "ENOMEM" || syscall !== "mmap") {
      throw error;
    }
    errors.push(error instanceof PoisonedError ? `${name}, poisoned` : name);
    return false;
  }
}

/** Reads from the first message on, and checks each against what was appended. */
async function check(source: Log | LogReader): Promise<number> {
  let offset = 0;
  for await (using batch of source.read()) {
    for (let i = 0; i < batch.count; i++, offset++) {
      assertBytes(batch.payload(i), payloads[offset]!, `message ${offset}`);
    }
  }
  return offset;
}

const dir = `${root}/log`;
let log = await Log.open(dir, options);
const { engine } = log.capabilities;
if (refused === "memory") limit(HEADROOM);
for (let next = 0; next < MESSAGES; next = log.nextOffset) {
  const appended = await done("append", () => log.append(payloads[next]!));
  if (appended && next % 3 > 0) continue;
  if (await done("flush", () => log.flush())) acknowledged = log.nextOffset;
  if (!appended) break;
}
await done("read", () => check(log));
// As after a kill: the owner file exists, and nothing was truncated.
const left = `${root}/left`;
Deno.mkdirSync(left);
for (const { name } of Deno.readDirSync(dir)) {
  Deno.copyFileSync(`${dir}/${name}`, `${left}/${name}`);
}
await done("close", () => log.close());
// A pool that has no memory yet.
const later = { ...options, pool: new BufferPool({ limitBytes: 1 << 30 }) };
await done("recover", async () => {
  const recovered = await Log.open(left, later);
  await done("read what was recovered", () => check(recovered));
  await recovered.close();
});
await done("read", () => check(new LogReader(dir, later)));
if (refused === "memory") limit();

// When everything is allowed again nothing is missing, and the log works to its end.
const found: Record<string, string> = {};
for (const path of [dir, left]) {
  log = await Log.open(path, options);
  const there = await check(log);
  if (there < acknowledged || there !== log.nextOffset) {
    throw new Error(`${there} of ${acknowledged} messages are left`);
  }
  for (let next = there; next < MESSAGES; next++) {
    await log.appendDurable(payloads[next]!);
  }
  await log.close();
  for (const { name } of Deno.readDirSync(path)) {
    const bytes = Deno.readFileSync(`${path}/${name}`);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    found[`${path.slice(root.length)}/${name}`] = hash.toHex();
  }
}
const inUseBytes = pool.stats().inUseBytes + later.pool.stats().inUseBytes;
console.log(
  JSON.stringify({ engine, errors, acknowledged, found, inUseBytes }),
);
