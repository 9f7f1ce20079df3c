/**
 * No byte of a block's earlier owner reaches a disk or a reader: padding is zeros, and views end
 * where the data ends.
 */
import { assert, assertEquals } from "@std/assert";
import { Log, LogReader } from "../../../lib/log/mod.ts";
import { BufferPool } from "../../../lib/pool/mod.ts";
import { DirectFile } from "../../../lib/storage/mod.ts";
import { FILES } from "../../permissions.ts";
import { KIB, MIB } from "../_support.ts";

/** The byte that earlier owners leave behind. The tests never write eight of them in a row. */
const MARK = 0xa5;
const RUN = 8;

/**
 * Creates a pool whose free blocks are full of marks, in the sizes that a log and its readers use.
 */
function markedPool(): BufferPool {
  const pool = new BufferPool({
    limitBytes: 48 * MIB,
    atLimit: "fail",
    onWarning() {},
  });
  const sizes = [4 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, MIB, 2 * MIB];
  const share = 48 * MIB / sizes.length;
  const blocks = sizes.flatMap((size) =>
    Array.from({ length: share / size }, () => pool.acquireSync(size))
  );
  for (const block of blocks) block.bytes.fill(MARK);
  for (const block of blocks) block.drop();
  return pool;
}

/** Returns where bytes of an earlier owner lie, if there are any. */
function firstMark(bytes: Uint8Array): number | undefined {
  let run = 0;
  for (let i = 0; i < bytes.length; i++) {
    run = bytes[i] === MARK ? run + 1 : 0;
    if (run === RUN) return i - RUN + 1;
  }
  return undefined;
}

function assertNoMarks(bytes: Uint8Array, what: string): void {
  assertEquals(firstMark(bytes), undefined, what);
}

function assertNoMarksIn(dir: string): number {
  let bytes = 0;
  for (const { name } of Deno.readDirSync(dir)) {
    const content = Deno.readFileSync(`${dir}/${name}`);
    assertNoMarks(content, name);
    bytes += content.length;
  }
  return bytes;
}

Deno.test(
  "Log never writes or returns bytes of a block's earlier owner",
  {
    ignore: !FILES,
  },
  async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_owner_" });
    const pool = markedPool();
    try {
      // First a check that marks can be found: a block acquired without `zeroed` shows them.
      const earlier = pool.acquireSync(4096);
      assertEquals(firstMark(earlier.bytes), 0);
      earlier.drop();

      const log = await Log.open(`${dir}/log`, {
        pool,
        blockBytes: 32 * KIB,
        segmentBytes: 300 * KIB,
        prepareBytes: 512 * KIB,
      });
      let searched = 0;
      for (let i = 0; i < 400; i++) {
        const payload = new Uint8Array(
          (i * 997) % (i % 50 === 0 ? 70_000 : 3000),
        )
          .fill(1 + i % 100);
        log.append(payload);
        if (i % 7 === 0) await log.flush();
        if (i % 11 === 0) await log.flush({ durability: "none" });
        if (i % 40 === 0) searched += assertNoMarksIn(`${dir}/log`);
      }
      await log.close();
      searched += assertNoMarksIn(`${dir}/log`);
      assert(searched > 4 * MIB, `${searched} bytes searched`);

      let views = 0;
      const reader = new LogReader(`${dir}/log`, { pool });
      for (const from of [0, 1, 17, 200, 399]) {
        for await (using batch of reader.read({ from })) {
          for (let i = 0; i < batch.count; i++, views++) {
            assertNoMarks(batch.payload(i), `payload ${batch.offset(i)}`);
          }
          // Also what lies around the views.
          assertNoMarks(new Uint8Array(batch.payload(0).buffer), "the block");
        }
      }
      assert(views > 1000);
    } finally {
      pool.close();
      Deno.removeSync(dir, { recursive: true });
    }
  },
);

Deno.test(
  "DirectFile gives no access to bytes of a block's earlier owner",
  {
    ignore: !FILES,
  },
  async () => {
    const path = Deno.makeTempFileSync({ prefix: "basalt_owner_" });
    const pool = markedPool();
    try {
      Deno.writeFileSync(path, new Uint8Array(70_001).fill(1));
      await using file = await DirectFile.open(path, { pool });
      for (const length of [1, 500, 4096, 9000, 70_001, 200_000, 3 * MIB]) {
        for (const position of [0, 1, 100, 4095, 65_536, 70_000]) {
          using part = await file.readAt(position, length);
          assertEquals(part.length, Math.min(length, 70_001 - position));
          assertNoMarks(new Uint8Array(part.bytes.buffer), "around it");
          part.resize(part.capacity);
          assertNoMarks(part.bytes, `${length} at ${position}`);
        }
      }
    } finally {
      pool.close();
      Deno.removeSync(path);
    }
  },
);

Deno.test(
  "Log creates files for their owner and group only, never wider than the umask allows",
  {
    ignore: !FILES,
  },
  async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_owner_" });
    try {
      const log = await Log.open(`${dir}/log`, { segmentBytes: 1024 });
      const modes = (): string[] =>
        [...Deno.readDirSync(`${dir}/log`)].map(({ name }) =>
          (Deno.statSync(`${dir}/log/${name}`).mode! & 0o777).toString(8)
        );
      for (let i = 0; i < 5; i++) await log.appendDurable(new Uint8Array(600));
      assert(modes().length > 6);
      assertEquals(new Set(modes()), new Set(["640"]));
      await log.close();
      assertEquals(new Set(modes()), new Set(["640"]));
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
