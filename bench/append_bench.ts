/**
 * Appends messages of 100 bytes to a log's memory, beside the same number of
 * `Deno.FsFile.writeSync` calls: 10 000 messages an iteration. Flushing is not timed.
 */
import { BufferPool, Log } from "../mod.ts";

const COUNT = 10_000;
const BATCH = 1000;
const PAYLOAD_BYTES = 100;

// Beside the checkout instead of in /tmp, which is often memory.
const dir = Deno.makeTempDirSync({
  dir: decodeURIComponent(new URL("..", import.meta.url).pathname),
  prefix: ".bench-",
});
const pool = new BufferPool();
const log = Log.openSync(`${dir}/log`, { pool, segmentBytes: 2 ** 27 });
const file = Deno.openSync(`${dir}/file`, { write: true, createNew: true });
addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));

const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x61);
const arrays: Uint8Array[] = new Array(BATCH).fill(payload);
const strings: string[] = new Array(BATCH).fill("a".repeat(PAYLOAD_BYTES));
const group = `${COUNT} messages of ${PAYLOAD_BYTES} B`;

/** Times an append, then writes its messages outside the timing. */
function appending(append: () => void) {
  return async (bench: Deno.BenchContext): Promise<void> => {
    bench.start();
    append();
    bench.end();
    await log.flush({ durability: "none" });
    await log.truncateBefore(log.writtenOffset);
  };
}

Deno.bench({ name: "Deno.FsFile.writeSync", group, baseline: true }, () => {
  file.seekSync(0, Deno.SeekMode.Start);
  for (let i = 0; i < COUNT; i++) file.writeSync(payload);
});

Deno.bench(
  { name: "append", group },
  appending(() => {
    for (let i = 0; i < COUNT; i++) log.append(payload);
  }),
);

Deno.bench(
  { name: "appendBatch of arrays", group },
  appending(() => {
    for (let i = 0; i < COUNT; i += BATCH) log.appendBatch(arrays);
  }),
);

Deno.bench(
  { name: "appendBatch of strings", group },
  appending(() => {
    for (let i = 0; i < COUNT; i += BATCH) log.appendBatch(strings);
  }),
);

const bytes = new Uint8Array(BATCH * PAYLOAD_BYTES).fill(0x61);
const lengths = new Uint32Array(BATCH).fill(PAYLOAD_BYTES);

Deno.bench(
  { name: "appendBatch of { bytes, lengths }", group },
  appending(() => {
    for (let i = 0; i < COUNT; i += BATCH) log.appendBatch({ bytes, lengths });
  }),
);
