/**
 * Links, directories and FIFOs that have the name of a log's file: every entry point refuses them
 * by name and changes nothing. docs/format.md#open-odd-names
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  inspectLog,
  Log,
  LogReader,
  planRepair,
  repairLog,
  salvageLog,
  verifyLog,
} from "../../../mod.ts";
import { exportToIggy, importFromIggy } from "../../../lib/iggy/mod.ts";
import { ALL, FILES } from "../../permissions.ts";
import { at, DiskPlace, drain, KIB, segment } from "../_support.ts";

const OPTIONS = { segmentBytes: 4 * KIB, prepareBytes: 0, tailBytes: 0 };
const PAYLOAD = new Uint8Array(3000);

/** What may have a name, and how to make it. `away` keeps what had the name before. */
const ODD: Record<string, (path: string, away: string) => void> = {
  "a link to a regular file": (path, away) => Deno.symlinkSync(away, path),
  "a relative link": (path, away) =>
    Deno.symlinkSync(`../${away.split("/").at(-1)}`, path),
  "a link to a link": (path, away) => {
    Deno.symlinkSync(away, `${away}.link`);
    Deno.symlinkSync(`${away}.link`, path);
  },
  "a dangling link": (path, away) => Deno.symlinkSync(`${away}.none`, path),
  "a link to itself": (path) => Deno.symlinkSync(path, path),
  "a directory": (path) => Deno.mkdirSync(path),
  "a FIFO": (path) => {
    const { success } = new Deno.Command("mkfifo", { args: [path] })
      .outputSync();
    assert(success);
  },
};

const NAMES = [
  `${segment(0)}.log`,
  `${segment(1)}.index`,
  `${segment(2)}.log`,
  `${segment(2)}.index`,
  "meta",
  "writer",
];

/** Lists everything below a directory: its type, and its bytes or its link target. */
function everything(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => {
    const path = `${dir}/${name}`;
    const { isFile, isSymlink, isDirectory } = Deno.lstatSync(path);
    const what = isFile
      ? Deno.readFileSync(path).toHex()
      : isSymlink
      ? Deno.readLinkSync(path)
      : isDirectory
      ? everything(path).join()
      : "special";
    return `${name} ${what}`;
  }).sort();
}

/** Makes a log of three segments, closed or left open. */
async function makeLog(dir: string, place: DiskPlace): Promise<void> {
  await using log = await Log.open(dir, { ...place, ...OPTIONS });
  for (let i = 0; i < 3; i++) await log.appendDurable(PAYLOAD);
}

for (const [what, make] of Object.entries(ODD)) {
  for (const name of NAMES) {
    Deno.test(
      `every entry point refuses ${what} with the name ${name}, and changes nothing`,
      {
        ignore: !ALL,
      },
      () =>
        at(new DiskPlace(), async (place) => {
          const dir = `${place.dir}/log`;
          await makeLog(dir, place);
          if (name === "writer") {
            // As another opening would leave it.
            Deno.writeFileSync(`${dir}/writer`, new Uint8Array(4096));
          }
          const partition = `${place.dir}/partition`;
          const sound = `${place.dir}/sound`;
          await makeLog(sound, place);
          Deno.mkdirSync(partition);
          await exportToIggy(sound, partition, { ...place, format: "0.9" });
          const plan = await planRepair(dir, place);
          const path = `${dir}/${name}`;
          const away = `${place.dir}/away`;
          Deno.renameSync(path, away);
          make(path, away);
          const before = everything(place.dir);
          const calls: Record<string, () => unknown> = {
            open: () => Log.open(dir, place),
            openSync: () => Log.openSync(dir, place),
            read: () => drain(new LogReader(dir, place)),
            readFrom: () => drain(new LogReader(dir, place), { from: 2 }),
            readSince: () => drain(new LogReader(dir, place), { since: 1 }),
            tail: () => new LogReader(dir, place).tail().next(),
            planRepair: () => planRepair(dir, place),
            repairLog: () => repairLog(dir, plan, place),
            importInto: () => importFromIggy(partition, dir, place),
            exportFrom: () =>
              exportToIggy(dir, partition, { ...place, format: "0.9" }),
          };
          for (const [call, run] of Object.entries(calls)) {
            const error = await assertRejects(
              async () => await run(),
              Error,
              undefined,
              call,
            );
            for (const part of [dir, `${name}'`]) {
              assert(error.message.includes(part), `${call}: ${error}`);
            }
          }
          const { odd, opening } = await inspectLog(dir, place);
          assertEquals([odd, opening.possible], [[name], false]);
          const faults = await Array.fromAsync(verifyLog(dir, place));
          assert(
            faults.some((each) => each.kind === "name" && each.path === path),
            JSON.stringify(faults),
          );
          const skipped: string[] = [];
          const onSkipped = (each: { path: string }) => skipped.push(each.path);
          for await (
            using _ of salvageLog(dir, { ...place, onSkipped })
          ) { /* What else is there. */ }
          assert(skipped.includes(path), skipped.join());
          assertEquals(everything(place.dir), before);
        }),
    );
  }

  Deno.test(
    `Log.cursor() does not follow ${what}`,
    { ignore: !ALL },
    () =>
      at(new DiskPlace(), async (place) => {
        const dir = `${place.dir}/log`;
        const log = await Log.open(dir, { ...place, ...OPTIONS });
        for (let i = 0; i < 3; i++) await log.appendDurable(PAYLOAD);
        await (await log.cursor("mine")).close();
        const path = `${dir}/cursors/mine`;
        const away = `${dir}/away`;
        Deno.renameSync(path, away);
        make(path, away);
        const before = everything(dir);
        const calls: Record<string, () => unknown> = {
          cursor: () => log.cursor("mine", { lockTimeoutMs: 0 }),
          cursorSync: () => log.cursorSync("mine"),
          cursors: () => log.cursors(),
          retain: () => log.retain({ bytes: 0 }),
          "LogReader.cursors": () => new LogReader(dir, place).cursors(),
        };
        for (const [call, run] of Object.entries(calls)) {
          const error = await assertRejects(
            async () => await run(),
            Error,
            undefined,
            call,
          );
          assert(error.message.includes(`'${path}'`), `${call}: ${error}`);
        }
        assertEquals(everything(dir), before);
        await log.close();
      }),
  );
}

Deno.test(
  "Log leaves the target of an owner file or a segment that became a link",
  {
    ignore: !FILES,
  },
  () =>
    at(new DiskPlace(), async (place) => {
      const dir = `${place.dir}/log`;
      const log = await Log.open(dir, { ...place, ...OPTIONS });
      for (let i = 0; i < 3; i++) await log.appendDurable(PAYLOAD);
      const away: [string, string][] = [
        "writer",
        `${segment(0)}.log`,
        `${segment(0)}.index`,
      ].map((name) => [`${dir}/${name}`, `${place.dir}/${name}`]);
      for (const [path, other] of away) {
        // The writer may have the file open, and then keeps using it.
        Deno.copyFileSync(path, other);
        Deno.removeSync(path);
        Deno.symlinkSync(other, path);
      }
      const before = away.map(([, other]) => Deno.readFileSync(other));
      assertEquals(await log.truncateBefore(1), 1);
      await assertRejects(
        () => log.close(),
        Deno.errors.InvalidData,
        `'${dir}/writer'`,
      );
      assertEquals(
        away.map(([, other]) => Deno.readFileSync(other)),
        before,
      );
      assertEquals(place.storage.isLink(`${dir}/writer`), true);
      assertThrows(() => Log.openSync(dir, place), Deno.errors.InvalidData);
    }),
);
