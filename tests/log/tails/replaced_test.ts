/**
 * Tails of a log that is deleted, created again or restored from an earlier copy end with an error,
 * never with silence. docs/format.md#read-replaced
 */
import { assert, assertEquals } from "@std/assert";
import { type Log, LogReader } from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { FILES } from "../../permissions.ts";
import { PassingStorage } from "../_passing_storage.ts";
import { appendSome, at, DiskPlace, openLog, type Place } from "../_support.ts";

/** The documentation promises two seconds. A busy machine gets three more. */
const MOST_MS = 5000;
/** Number of messages when the copy is made, and when the tail waits. */
const COPIED = 10;
const READ = 20;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Appends one message a batch, and leaves the log open. */
async function write(place: Place, dir: string, count: number): Promise<Log> {
  const log = await openLog({ ...place, dir }, { flushAfterMs: 0 });
  for (let i = 0; i < count; i++) {
    appendSome(log, 1, 100);
    await log.flush();
  }
  return log;
}

/** Copies the files of a directory into another one, and removes all others there. */
function copy(from: string, to: string): void {
  const files = (dir: string) =>
    [...Deno.readDirSync(dir)].filter((each) => each.isFile)
      .map(({ name }) => name);
  const names = files(from);
  for (const name of names) {
    Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
  for (const name of files(to)) {
    if (!names.includes(name)) Deno.removeSync(`${to}/${name}`);
  }
}

function makeEmpty(dir: string): void {
  Deno.removeSync(dir, { recursive: true });
  Deno.mkdirSync(dir);
}

type Replace = (
  place: Place,
  dir: string,
  copied: string,
) => Promise<Log> | void;

/** What happens to the directory of a log. Returns a log if it leaves one open. */
const CHANGES: Record<string, Replace> = {
  "is deleted": (_place, dir) => Deno.removeSync(dir, { recursive: true }),
  "loses its files": (_place, dir) => {
    for (const { name } of Deno.readDirSync(dir)) {
      Deno.removeSync(`${dir}/${name}`);
    }
  },
  "is moved away and created again": (place, dir) => {
    Deno.renameSync(dir, `${dir}.moved`);
    return write(place, dir, 5);
  },
  "is deleted, restored shorter and opened": (place, dir, copied) => {
    makeEmpty(dir);
    copy(copied, dir);
    return write(place, dir, 2);
  },
  "is restored shorter into the same files": (_place, dir, copied) =>
    copy(copied, dir),
};

/** Makes a change while a tail waits. Returns the error of the tail, or what it did instead. */
async function tailWhile(
  change: Replace,
  options: { isOpen: boolean; durable: boolean; isNotified: boolean },
): Promise<unknown> {
  const { isOpen, durable, isNotified } = options;
  return await at(new DiskPlace(), async (place) => {
    const dir = `${place.dir}/log`;
    const copied = `${place.dir}/copied`;
    for (const each of [dir, copied]) Deno.mkdirSync(each);
    await (await write(place, dir, COPIED)).close();
    copy(dir, copied);
    const log = await write(place, dir, READ - COPIED);
    if (!isOpen) await log.close();
    const storage = isNotified
      ? place.storage
      : new PassingStorage(place.storage);
    const reader = new LogReader(dir, { storage, pool: place.pool });
    const tail = reader.tail({ durable });
    let offset = 0;
    while (offset < READ) offset = (await tail.next()).value!.nextOffset;
    const next = tail.next().then(
      ({ value }) => `gave ${value?.firstOffset}`,
      (error) => error,
    );
    await sleep(200);
    assertEquals(reader.stats().notifiedTails, isNotified ? 1 : 0);
    const other = await change(place, dir, copied);
    // Leaving the tail ends a wait without an error.
    const timer = setTimeout(() => tail.return(), MOST_MS);
    const outcome = await next;
    clearTimeout(timer);
    await tail.return();
    // A writer without its files cannot close.
    for (const each of [log, other]) await each?.close().catch(() => {});
    return outcome;
  });
}

for (const [what, change] of Object.entries(CHANGES)) {
  Deno.test(`LogReader.tail() of a log that ${what} is an error`, {
    ignore: !FILES,
  }, async () => {
    const cases = [true, false].flatMap((isOpen) =>
      [true, false].flatMap((durable) =>
        [true, false].map((isNotified) => ({ isOpen, durable, isNotified }))
      )
    );
    const outcomes = await Promise.all(
      cases.map((options) => tailWhile(change, options)),
    );
    outcomes.forEach((outcome, i) => {
      const isKnown = [
        Deno.errors.NotFound,
        Deno.errors.BadResource,
        CorruptSegmentError,
      ].some((each) => outcome instanceof each);
      assert(isKnown, `${JSON.stringify(cases[i])}: ${outcome}`);
    });
  });
}

Deno.test(
  "LogReader.tail() with 'durable' does not poll while nothing is written, whatever files are created",
  {
    ignore: !FILES,
  },
  () =>
    at(new DiskPlace(), async (place) => {
      const log = await openLog(place, { flushAfterMs: 0 });
      const reader = new LogReader(place.dir, place);
      const tail = reader.tail({ durable: true });
      const next = tail.next();
      await sleep(100);
      Deno.writeTextFileSync(`${place.dir}/other`, "");
      await sleep(1500);
      const { looks } = reader.stats();
      await sleep(2500);
      assertEquals(reader.stats().looks, looks);
      appendSome(log, 1, 100);
      await log.flush();
      assertEquals((await next).value!.firstOffset, 0);
      await tail.return();
      await log.close();
    }),
);
