/**
 * Uses logs with their default options on a small disk beside another program. Usage:
 * `small_disk_child.ts DIRECTORY LOGS MESSAGES [WHEN]`. Prints each refused call on a line, and
 * last the number of messages read.
 *
 * With `before-closing` the other program takes all free space before the logs are closed. With
 * `before-opening` it leaves 1 MiB before they are opened, and nothing may be prepared.
 */
import { inspectLog, Log, LogReader } from "../../../lib/log/mod.ts";

const [directory, logCount, messages, when] = Deno.args;
const MIB = 1024 * 1024;

/** Runs what must succeed while there is room. */
async function attempt(what: string, run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    console.log(`${what}: ${error}`);
  }
}

/** Writes a file of the other program, and removes it again. */
function neighbour(): void {
  const path = `${directory}/neighbour`;
  try {
    using file = Deno.openSync(path, { write: true, create: true });
    const bytes = new Uint8Array(MIB);
    for (let at = 0; at < MIB;) at += file.writeSync(bytes.subarray(at));
    file.syncSync();
  } finally {
    Deno.removeSync(path);
  }
}

/** Takes all free space. */
function fillDisk(): void {
  using file = Deno.openSync(`${directory}/filler`, {
    write: true,
    create: true,
  });
  for (let size = MIB; size >= 512; size /= 2) {
    const bytes = new Uint8Array(size);
    try {
      for (;;) if (file.writeSync(bytes) < size) break;
    } catch {
      // Smaller pieces may fit.
    }
  }
  try {
    file.syncSync();
  } catch {
    // The disk is full.
  }
}

const names = Array.from(
  { length: Number(logCount) },
  (_, i) => `${directory}/log${i}`,
);
if (when === "before-opening") {
  fillDisk();
  const { size } = Deno.statSync(`${directory}/filler`);
  Deno.truncateSync(`${directory}/filler`, size - MIB);
}
const logs: Log[] = [];
// Only some at a time, since all wait for the same disk.
const atOnce = names.length >= 1000 ? 50 : 1;
for (let i = 0; i < names.length; i += atOnce) {
  await Promise.all(
    names.slice(i, i + atOnce).map((name) =>
      attempt(`opening ${name}`, async () => {
        const log = await Log.open(name);
        logs.push(log);
        for (let i = 0; i < Number(messages); i++) await log.appendDurable("x");
      })
    ),
  );
  if (when !== "before-opening") await attempt("the other program", neighbour);
}
// By now the background preparation has run.
await new Promise((resolve) => setTimeout(resolve, 1500));
if (when !== "before-opening") await attempt("the other program", neighbour);
else {
  for (const log of logs) {
    const { preparedBytes } = log.stats();
    if (preparedBytes >= 4096) {
      console.log(`${log.path}: ${preparedBytes} prepared`);
    }
  }
}
await Promise.all(
  logs.map((log) =>
    attempt(`appending to ${log.path}`, () => log.appendDurable("x"))
  ),
);
if (when === "before-closing") fillDisk();
await Promise.all(
  logs.map((log) => attempt(`closing ${log.path}`, () => log.close())),
);
if (when === "before-closing") Deno.removeSync(`${directory}/filler`);
let read = 0;
for (const name of names) {
  await attempt(`reading ${name}`, async () => {
    for await (using batch of new LogReader(name).read()) read += batch.count;
    const { closed, preparedBytes } = await inspectLog(name);
    if (!closed || preparedBytes > 0) throw new Error("it was not closed");
  });
}
console.log(read);
