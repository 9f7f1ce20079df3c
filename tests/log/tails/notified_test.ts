/**
 * Tails of another process's log: the system notifies them of changes, they stay idle while nothing
 * is written, and durable tails give what is durable while the writer lives.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { LogReader } from "../../../lib/log/mod.ts";
import { ALL, FILES } from "../../permissions.ts";
import { PassingStorage } from "../_passing_storage.ts";
import {
  appendSome,
  at,
  DiskPlace,
  openLog,
  type Place,
  quiet,
  SimulatedPlace,
} from "../_support.ts";

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function readerOf({ dir, storage, pool }: Place): LogReader {
  return new LogReader(dir, { storage, pool });
}

/** Runs a test beside a process that appends, and closes the process afterwards. */
async function besideWriter(
  count: number,
  test: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "basalt_tail_" });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all",
      new URL("notified_child.ts", import.meta.url).pathname,
      dir,
      String(count),
    ],
    stdin: "piped",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  try {
    while (!Array.from(Deno.readDirSync(dir)).some(isOwner)) await sleep(5);
    await test(dir);
  } finally {
    await child.stdin.close();
    assertEquals((await child.status).code, 0);
    Deno.removeSync(dir, { recursive: true });
  }
}

function isOwner({ name }: Deno.DirEntry): boolean {
  return name === "writer";
}

for (const durable of [false, true]) {
  Deno.test(
    `LogReader.tail() with durable ${durable} gives what another process writes while the log is open there`,
    { ignore: !ALL },
    () =>
      besideWriter(50, async (dir) => {
        let next = 0;
        const tail = new LogReader(dir).tail({ durable, count: 50 });
        for await (const batch of tail) {
          for (let i = 0; i < batch.count; i++) {
            assertEquals(batch.text(i), String(next++));
          }
        }
        assertEquals(next, 50);
        assert(Array.from(Deno.readDirSync(dir)).some(isOwner));
      }),
  );
}

Deno.test(
  "LogReader.tail() wakes for changes only, after two polls that follow the last one",
  { ignore: !FILES },
  () =>
    at(new DiskPlace(), async (place) => {
      const log = await openLog(place, { flushAfterMs: 0 });
      const reader = readerOf(place);
      const tail = reader.tail();
      for (let round = 0; round < 3; round++) {
        const next = tail.next();
        await sleep(1500);
        const { looks, tails, notifiedTails } = reader.stats();
        assertEquals([tails, notifiedTails], [1, 1]);
        await sleep(700);
        assertEquals(reader.stats().looks, looks);
        appendSome(log, 1, 100);
        await log.flush();
        assertEquals((await next).value!.firstOffset, round);
      }
      await tail.return();
      assertEquals(reader.stats().tails, 0);
      assertEquals(reader.stats().notifiedTails, 0);
      await log.close();
    }),
);

Deno.test(
  "LogReader.tail() polls a storage without notifications, at most ten times a second while idle",
  { ignore: !FILES },
  () =>
    at(new DiskPlace(), async (place) => {
      const log = await openLog(place, { flushAfterMs: 0 });
      const { dir, pool } = place;
      const storage = new PassingStorage(place.storage);
      const reader = new LogReader(dir, { storage, pool });
      const tail = reader.tail();
      const next = tail.next();
      await sleep(500);
      const { looks, tails, notifiedTails } = reader.stats();
      assertEquals([tails, notifiedTails], [1, 0]);
      assert(looks >= 2, `${looks} looks`);
      await sleep(1000);
      const more = reader.stats().looks - looks;
      assert(more >= 1 && more <= 11, `${more} polls in a second`);
      appendSome(log, 1, 100);
      await log.flush();
      assertEquals((await next).value!.firstOffset, 0);
      await tail.return();
      await log.close();
    }),
);

Deno.test(
  "LogReader.tail() of a log that is deleted is an error, not silence",
  { ignore: !FILES },
  () =>
    at(new DiskPlace(), async (place) => {
      const log = await openLog(place);
      appendSome(log, 3, 100);
      await log.close();
      const tail = readerOf(place).tail();
      await tail.next();
      const next = tail.next();
      await sleep(50);
      for (const name of place.names()) Deno.removeSync(`${place.dir}/${name}`);
      await assertRejects(() => next);
    }),
);

Deno.test(
  "LogReader.tail() shares a watch among the tails of a directory, and the last one ends it",
  { ignore: !FILES },
  () =>
    at(new DiskPlace(), async (place) => {
      const log = await openLog(place);
      const reader = readerOf(place);
      // More than a user may have inotify instances.
      const tails = Array.from({ length: 300 }, () => reader.tail());
      const all = tails.map((tail) => tail.next());
      await sleep(100);
      appendSome(log, 1, 100);
      await log.flush();
      for (const next of all) assertEquals((await next).value!.firstOffset, 0);
      assertEquals(reader.stats().notifiedTails, 300);
      for (const tail of tails) await tail.return();
      assertEquals(reader.stats().notifiedTails, 0);
      await log.close();
    }),
);

Deno.test("Log publishes its durable offset a millisecond after it rose, and immediately later", () =>
  at(new SimulatedPlace(), async (place) => {
    const disk = place.storage as SimulatedPlace["storage"];
    const log = await openLog(place);
    const reader = readerOf(place);
    const countOf = async () => {
      let count = 0;
      for await (const batch of reader.read({ durable: true })) {
        count += batch.count;
      }
      return count;
    };
    appendSome(log, 2, 100);
    await log.flush({ durability: "none" });
    disk.delaySync(5);
    assertEquals(await countOf(), 0);
    await log.flush();
    await quiet(disk);
    assertEquals(await countOf(), 2);
    appendSome(log, 3, 100);
    await log.flush();
    assertEquals(await countOf(), 2);
    disk.delaySync(1);
    await quiet(disk);
    assertEquals(await countOf(), 5);
    await log.close();
  }));

Deno.test("Log publishes what became durable during a publication", () =>
  at(new SimulatedPlace(), async (place) => {
    const disk = place.storage as SimulatedPlace["storage"];
    const log = await openLog(place);
    let publishing = 0;
    let flushed: Promise<unknown> | undefined;
    disk.onOperation(({ kind, path }) => {
      if (kind !== "write" || !path.endsWith("/writer")) return;
      if (++publishing === 1) {
        appendSome(log, 3, 100);
        flushed = log.flush();
      }
      return { latencyMs: 50 };
    });
    disk.delaySync(5);
    appendSome(log, 2, 100);
    await log.flush();
    while (flushed === undefined) await sleep(0);
    await flushed;
    assertEquals([log.durableOffset, publishing], [5, 1]);
    await quiet(disk);
    disk.delaySync(5);
    await quiet(disk);
    let count = 0;
    for await (const batch of readerOf(place).read({ durable: true })) {
      count += batch.count;
    }
    assertEquals([count, publishing], [5, 2]);
    await log.close();
  }));
