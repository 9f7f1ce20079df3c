/**
 * Reads a log of 32 MiB with every checksum verified and every payload read, beside reading its
 * file through the page cache.
 */
import { BufferPool, Log, LogReader } from "../mod.ts";

const PAYLOAD_BYTES = 1000;
const HEADER_BYTES = 64;
const COUNT = Math.floor(32 * 2 ** 20 / (HEADER_BYTES + PAYLOAD_BYTES));

// Beside the checkout instead of in /tmp, which is often memory.
const dir = Deno.makeTempDirSync({
  dir: decodeURIComponent(new URL("..", import.meta.url).pathname),
  prefix: ".bench-",
});
addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));

const pool = new BufferPool();
{
  using log = Log.openSync(dir, { pool });
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x61);
  for (let i = 0; i < COUNT; i++) log.append(payload);
}
const reader = new LogReader(dir, { pool });
const path = `${dir}/${"0".repeat(20)}.log`;
const memory = new Uint8Array(2 ** 20);
const group = `${COUNT} messages of ${PAYLOAD_BYTES} B`;

Deno.bench({
  name: "Deno.FsFile.readSync, nothing verified",
  group,
  baseline: true,
}, () => {
  using file = Deno.openSync(path);
  while (file.readSync(memory) !== null);
});

Deno.bench({ name: "LogReader.readSync", group }, () => {
  let sum = 0;
  for (using batch of reader.readSync()) {
    for (let i = 0; i < batch.count; i++) sum += batch.payload(i)[0]!;
  }
  if (sum !== COUNT * 0x61) throw new Error("Cannot be: other bytes");
});

Deno.bench({ name: "LogReader.read", group }, async () => {
  let sum = 0;
  for await (using batch of reader.read()) {
    for (let i = 0; i < batch.count; i++) sum += batch.payload(i)[0]!;
  }
  if (sum !== COUNT * 0x61) throw new Error("Cannot be: other bytes");
});
