import { assert, assertEquals } from "@std/assert";
import { BufferPool, DirectFile } from "../../mod.ts";
import { FileOperations } from "../../lib/storage/_file_operations.ts";
import { fileSteps } from "../../lib/storage/file_steps.ts";
import { SegmentWriter } from "../../segment.ts";
import { ALL } from "../permissions.ts";
import { PassingFile } from "../log/_passing_storage.ts";

/** Payload bytes of the batches that one flush writes. */
const FLUSHES = [[100], [70_000], [300_000], [70_000, 500], [
  300_000,
  200_000,
  10,
  900_000,
]];

/** Appends the same messages to a segment each time, and returns the contents of its files. */
async function written(
  pool: BufferPool,
  isOwn: boolean,
  mode: "async" | "sync",
): Promise<{ log: Uint8Array; index: Uint8Array }> {
  const dir = Deno.makeTempDirSync();
  try {
    const open = (name: string) =>
      DirectFile.openSync(`${dir}/${name}`, {
        read: true,
        write: true,
        createNew: true,
      });
    const own = { log: open("log"), index: open("index") };
    const files = isOwn
      ? own
      : { log: new PassingFile(own.log), index: new PassingFile(own.index) };
    let now = 1_700_000_000_000_000;
    let random = 0;
    const writer = await SegmentWriter.create({
      ...files,
      pool,
      firstOffset: 0,
      now: () => now++,
      random: (bytes) => bytes.fill(++random),
    });
    for (const [i, sizes] of FLUSHES.entries()) {
      // A thread seals only blocks that no call waits for to be durable.
      const durability = i % 3 === 0 ? "data" : "none";
      for (const size of sizes) {
        const payloads = Array.from(
          { length: 10 },
          (_, i) => new Uint8Array(Math.ceil(size / 10)).fill(i + size),
        );
        writer.appendBatch(payloads);
      }
      if (mode === "sync") writer.flushSync({ durability });
      else await writer.flush({ durability });
    }
    if (mode === "sync") writer.closeSync();
    else await writer.close();
    return {
      log: Deno.readFileSync(`${dir}/log`),
      index: Deno.readFileSync(`${dir}/index`),
    };
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

for (const mode of ["async", "sync"] as const) {
  Deno.test(
    `SegmentWriter writes the same bytes where a thread seals large blocks (${mode})`,
    {
      ignore: !ALL,
    },
    async () => {
      using pool = new BufferPool();
      const byProgram = await written(pool, false, mode);
      const byThread = await written(pool, true, mode);
      assertEquals(byThread.log, byProgram.log);
      assertEquals(byThread.index, byProgram.index);
      assert(byProgram.log.length > 1_500_000);
      assertEquals(pool.stats().inUseBytes, 0);
    },
  );
}

for (const mode of ["async", "sync"] as const) {
  Deno.test(
    `SegmentWriter lets a thread seal a full block while the program continues (${mode})`,
    { ignore: !ALL },
    async () => {
      using pool = new BufferPool();
      const files: Uint8Array[] = [];
      for (const isAwaited of [false, true]) {
        const path = Deno.makeTempFileSync();
        const [log, index] = [path, `${path}.index`].map((each) =>
          DirectFile.openSync(each, { read: true, write: true, create: true })
        ) as [DirectFile, DirectFile];
        const steps = log[fileSteps];
        let seals = 0;
        steps.seal = (buffer) => {
          seals++;
          return FileOperations.prototype.seal.call(
            steps as FileOperations,
            buffer,
          );
        };
        const now = () => 1_700_000_000_000_000;
        const random = (bytes: Uint8Array<ArrayBuffer>) => bytes.fill(1);
        const parts = { log, index, pool, firstOffset: 0, now, random };
        const writer = await SegmentWriter.create(parts);
        const payloads = Array(10).fill(new Uint8Array(150_000).fill(7));
        writer.appendBatch(payloads);
        const durable = isAwaited ? writer.whenDurable(0) : undefined;
        assertEquals(seals, 0);
        writer.appendBatch(payloads);
        assertEquals(seals, isAwaited ? 0 : 1);
        if (mode === "sync") writer.closeSync();
        else await writer.close();
        await durable;
        files.push(Deno.readFileSync(path));
        assertEquals(pool.stats().inUseBytes, 0);
      }
      assertEquals(files[0], files[1]);
      assert(files[0]!.length > 3_000_000);
    },
  );
}
