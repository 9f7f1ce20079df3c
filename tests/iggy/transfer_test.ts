/** Handing logs over and taking them over, without a server: refusals, and crashes in between. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import type { SimulatedDisk } from "@basalt/io/testing";
import {
  handOver,
  handOverSync,
  takeOver,
  takeOverSync,
} from "../../lib/iggy/mod.ts";
import { Log } from "../../lib/log/mod.ts";
import { Unsupported } from "../../lib/native/mod.ts";
import { CorruptSegment } from "../../lib/segment/mod.ts";
import { Locked } from "../../lib/storage/mod.ts";
import { FILES } from "../permissions.ts";
import { eachCrash } from "../log/recovery_support.ts";
import {
  appendSome,
  at,
  DiskPlace,
  drainSync,
  KIB,
  openLogSync,
  type Place,
  SimulatedPlace,
} from "../log/support.ts";
import { dataDirectory, putFiles, writeFiles } from "./data_directory.ts";

const SERVER = "/server";
const PARTITION = `${SERVER}/streams/0/topics/0/partitions/0`;
const ADDRESS = { dataDirectory: SERVER, stream: "s", topic: "t" };
const COUNT = 60;
/** Three segments: enough for crashes. */
const FEW = 40;

/** A disk with a closed log of some segments, and a server's data directory. */
function prepared(count = COUNT): SimulatedPlace {
  const place = new SimulatedPlace();
  const log = openLogSync(place, { segmentBytes: 8 * KIB });
  appendSome(log, count, 400);
  log.closeSync();
  putFiles(place.storage, SERVER, dataDirectory());
  return place;
}

/** Files in a directory, and their bytes. */
function contents(disk: SimulatedDisk, dir: string): Map<string, Uint8Array> {
  return new Map(
    [...disk.snapshot()].filter(([path]) =>
      path.startsWith(`${dir}/`) &&
      /^\d{20}\.(log|index)/.test(path.slice(dir.length + 1))
    ).map(([path, bytes]) => [path.slice(dir.length + 1), bytes]),
  );
}

for (
  const [name, run] of [
    ["handOver", handOver],
    ["handOverSync", handOverSync],
  ] as const
) {
  Deno.test(`${name}() puts a log's files into the empty partition, says so before it does, and leaves the log`, () =>
    at(prepared(), async (place) => {
      const { storage, pool, dir } = place;
      const before = storage.hash();
      const log = contents(storage, dir);
      assert(log.size > 6);
      const options = { ...ADDRESS, storage, pool };
      const plan = await run(dir, { ...options, dryRun: true });
      assertEquals(storage.hash(), before);
      assertEquals({ ...plan, files: [] }, {
        done: false,
        from: dir,
        to: PARTITION,
        serverVersion: "0.8.0",
        stream: { id: 0, name: "s" },
        topic: { id: 0, name: "t" },
        partition: 0,
        firstOffset: 0,
        nextOffset: COUNT,
        files: [],
        copiedBytes: [...log.values()].reduce(
          (sum, { length }) => sum + length,
          0,
        ),
        replaces: ["00000000000000000000.index", "00000000000000000000.log"],
        leaves: [],
        consumerOffsets: [{ kind: "consumer", id: 7, offset: 3 }],
      });
      assertEquals(
        plan.files.map((
          { name, byteLength, there },
        ) => [name, byteLength, there]),
        [...log].map(([name, { length }]) => [name, length, false]),
      );
      assertEquals(await run(dir, options), { ...plan, done: true });
      assertEquals(contents(storage, PARTITION), log);
      assertEquals(contents(storage, dir), log);
      // Once more: everything is there.
      const again = await run(dir, options);
      assertEquals([again.copiedBytes, again.replaces], [0, []]);
      assertEquals(contents(storage, PARTITION), log);
    }));
}

for (
  const [name, run] of [
    ["takeOver", takeOver],
    ["takeOverSync", takeOverSync],
  ] as const
) {
  Deno.test(`${name}() makes a partition a log, which goes on`, () =>
    at(prepared(), async (place) => {
      const { storage, pool, dir } = place;
      const options = { ...ADDRESS, storage, pool };
      await handOver(dir, options);
      const before = contents(storage, PARTITION);
      const plan = await run("/taken/log", { ...options, dryRun: true });
      assertEquals(plan.consumerOffsets.length, 1);
      assertEquals(contents(storage, "/taken/log").size, 0);
      const done = await run("/taken/log", options);
      assertEquals([done.done, done.nextOffset], [true, COUNT]);
      assertEquals(contents(storage, "/taken/log"), before);
      assertEquals(contents(storage, PARTITION), before);
      using log = Log.openSync("/taken/log", {
        storage,
        pool,
        prepareBytes: 0,
      });
      assertEquals(log.stats().opening.recovered, []);
      assertEquals(log.append("more"), COUNT);
    }));
}

Deno.test("a crash while a log is handed over leaves the server a whole beginning of it, and doing it again completes it", async () => {
  const { storage: disk, dir, pool } = prepared(FEW);
  const whole = contents(disk, dir);
  const names = [...whole.keys()];
  let states = 0;
  const operations = await eachCrash(
    disk,
    (place) =>
      handOver(dir, { ...ADDRESS, storage: place.storage, pool: place.pool }),
    ["none", "all", "random"],
    async (left, what) => {
      states++;
      const found = contents(left, PARTITION);
      // A server looks at `.log` only: those that are there follow one another from the first, each whole and with its index.
      const logs = [...found.keys()].filter((name) => name.endsWith(".log"))
        .filter((name) => found.get(name)!.length > 0);
      const expected = names.filter((name) => name.endsWith(".log"));
      assertEquals(logs, expected.slice(0, logs.length), what);
      for (const name of logs) {
        const index = name.replace(".log", ".index");
        assertEquals(found.get(name), whole.get(name), what);
        assertEquals(found.get(index), whole.get(index), what);
      }
      await handOver(dir, { ...ADDRESS, storage: left, pool });
      assertEquals(contents(left, PARTITION), whole, what);
      assertEquals(contents(left, dir), whole, what);
    },
  );
  console.log(`${operations} operations, ${states} states`);
  pool.close();
});

Deno.test("a crash while a log is taken over leaves nothing that opens as a part of it, and doing it again completes it", async () => {
  const { storage: disk, dir, pool } = prepared(FEW);
  await handOver(dir, { ...ADDRESS, storage: disk, pool });
  const whole = contents(disk, PARTITION);
  let states = 0;
  const operations = await eachCrash(
    disk,
    (place) =>
      takeOver("/taken", {
        ...ADDRESS,
        storage: place.storage,
        pool: place.pool,
      }),
    ["none", "all", "random"],
    async (left, what) => {
      states++;
      const copy = left.crashState("all");
      try {
        using log = Log.openSync("/taken", {
          storage: copy,
          pool,
          prepareBytes: 0,
          create: false,
        });
        const { length } = drainSync(log);
        assert(length === 0 || length === FEW, `${what}: ${length} messages`);
      } catch (error) {
        assert(
          error instanceof CorruptSegment && error.kind === "missing" ||
            error instanceof Deno.errors.NotFound,
          `${what}: ${error}`,
        );
      }
      await takeOver("/taken", { ...ADDRESS, storage: left, pool });
      assertEquals(contents(left, "/taken"), whole, what);
    },
  );
  console.log(`${operations} operations, ${states} states`);
  pool.close();
});

/** What is refused: how the place is spoiled, and what the error must be and say. */
const REFUSALS: Record<string, {
  spoil(place: SimulatedPlace): void;
  address?: Partial<typeof ADDRESS> & { partition?: number };
  error: new (...args: never[]) => Error;
  says: string[];
}> = {
  "a directory of Iggy 0.9": {
    spoil: ({ storage }) =>
      storage.poke(`${SERVER}/metadata/journal.wal`, 0, new Uint8Array(1)),
    error: Unsupported,
    says: [`'${SERVER}'`, "Iggy 0.9", "needed what Iggy 0.7.3 to 0.8 leaves"],
  },
  "a directory that states version 0.9": {
    spoil: ({ storage }) => {
      storage.removeSync(`${SERVER}/state/info`);
      putFiles(storage, SERVER, {
        "state/info": dataDirectory("0.9.0-edge.5")["state/info"]!,
      });
    },
    error: Unsupported,
    says: ["found Iggy 0.9.0-edge.5"],
  },
  "a directory of an older server": {
    spoil: ({ storage }) => {
      storage.removeSync(`${SERVER}/state/info`);
      putFiles(storage, SERVER, {
        "state/info": dataDirectory("0.7.2")["state/info"]!,
      });
    },
    error: Unsupported,
    says: ["found Iggy 0.7.2"],
  },
  "a directory that is none of a server": {
    spoil: () => {},
    address: { dataDirectory: "/elsewhere" },
    error: Unsupported,
    says: ["'/elsewhere'", "no 'state/info'"],
  },
  "a version file of garbage": {
    spoil: ({ storage }) =>
      storage.poke(`${SERVER}/state/info`, 0, new Uint8Array(40).fill(0xff)),
    error: Unsupported,
    says: ["a 'state/info' that states no version"],
  },
  "a state log that is cut off": {
    spoil: ({ storage }) => {
      const bytes = storage.peek(`${SERVER}/state/log`);
      storage.removeSync(`${SERVER}/state/log`);
      storage.poke(`${SERVER}/state/log`, 0, bytes.subarray(0, -1));
    },
    error: Unsupported,
    says: [`'${SERVER}/state/log'`, "an entry at byte"],
  },
  "an encrypted server": {
    spoil: ({ storage }) =>
      storage.poke(
        `${SERVER}/runtime/current_config.toml`,
        0,
        new TextEncoder().encode(
          '[system]\n\n[system.encryption]\nenabled = true\nkey = ""\n',
        ),
      ),
    error: Unsupported,
    says: ["encrypts payloads"],
  },
  "a stream that is not there": {
    spoil: () => {},
    address: { stream: "orders" },
    error: Deno.errors.NotFound,
    says: ['No stream "orders"', `'${SERVER}'`, "there are 0 ('s')"],
  },
  "a topic that is not there": {
    spoil: () => {},
    address: { topic: "T" },
    error: Deno.errors.NotFound,
    says: ['No topic "T"', "stream 0 ('s')", "there are 0 ('t')"],
  },
  "a partition that is not there": {
    spoil: () => {},
    address: { partition: 1 },
    error: Deno.errors.NotFound,
    says: ["No partition 1 in topic 0 ('t')", "there are 0"],
  },
  "a partition with messages": {
    spoil: ({ storage }) =>
      storage.poke(
        `${PARTITION}/00000000000000000000.log`,
        0,
        new Uint8Array(69),
      ),
    error: Deno.errors.AlreadyExists,
    says: [PARTITION, "'00000000000000000000.log' there has 69 bytes"],
  },
  "a log that was not closed": {
    spoil: ({ storage, dir }) =>
      storage.poke(
        `${dir}/writer`,
        0,
        new TextEncoder().encode("4711 1700000000000000\n"),
      ),
    error: Deno.errors.Busy,
    says: ["'/log'", "process 4711", "Log.open"],
  },
  "a log that is damaged": {
    spoil: ({ storage, dir }) =>
      storage.flipBit(`${dir}/00000000000000000000.log`, 1000, 3),
    error: CorruptSegment,
    says: ["/log/00000000000000000000.log", "checksum"],
  },
  "a log of which one index entry is wrong": {
    spoil: ({ storage, dir }) =>
      storage.flipBit(`${dir}/00000000000000000000.index`, 16 * 3 + 4, 3),
    error: CorruptSegment,
    says: ["/log/00000000000000000000.index", "the entry does not agree"],
  },
  "an index whose last entry, of the last segment, is zeros": {
    spoil: ({ storage, dir }) => {
      const last = storage.files().filter((path) =>
        path.startsWith(dir) && path.endsWith(".index")
      ).at(-1)!;
      storage.poke(last, 0, new Uint8Array(16));
    },
    error: CorruptSegment,
    says: [".index", "the entry does not agree"],
  },
  "a directory without a log": {
    spoil: ({ storage, dir }) => {
      for (const path of storage.files()) {
        if (path.startsWith(`${dir}/`)) storage.removeSync(path);
      }
    },
    error: Deno.errors.NotFound,
    says: ["'/log'"],
  },
};

for (
  const [what, { spoil, address, error, says }] of Object.entries(REFUSALS)
) {
  Deno.test(`handOver() refuses ${what}, and changes nothing`, () =>
    at(prepared(), async (place) => {
      spoil(place);
      const { storage, pool, dir } = place;
      const before = storage.hash();
      const thrown = await assertRejects(() =>
        handOver(dir, { ...ADDRESS, ...address, storage, pool })
      );
      assertInstanceOf(thrown, error, String(thrown));
      for (const part of says) assertStringIncludes(thrown.message, part);
      assertEquals(storage.hash(), before);
    }));
}

Deno.test("handOver() refuses a log that a writer has open, takeOver() a directory that one has open", () =>
  at(prepared(), async (place) => {
    const { storage, pool, dir } = place;
    const options = { ...ADDRESS, storage, pool };
    await handOver(dir, options);
    using _log = openLogSync(place);
    const before = storage.hash();
    const refused = await assertRejects(() => handOver(dir, options), Locked);
    assertStringIncludes(refused.message, `process ${Deno.pid}`);
    await assertRejects(() => takeOver(dir, options), Deno.errors.Busy);
    assertEquals(storage.hash(), before);
  }));

Deno.test("takeOver() refuses a directory with other messages", () =>
  at(prepared(), async (place) => {
    const { storage, pool, dir } = place;
    const options = { ...ADDRESS, storage, pool };
    await handOver(dir, options);
    {
      using log = openLogSync(place);
      log.append("one more");
    }
    const before = storage.hash();
    const refused = await assertRejects(
      () => takeOver(dir, options),
      Deno.errors.AlreadyExists,
    );
    assertStringIncludes(refused.message, "none of this log's");
    assertEquals(storage.hash(), before);
  }));

Deno.test({
  name: "handOver() refuses a partition of which anybody has a file open",
  ignore: !FILES,
  fn: () =>
    at(new DiskPlace() as Place, async (place) => {
      const { storage, pool, dir } = place;
      {
        using log = openLogSync({ ...place, dir: `${dir}/log` } as Place);
        appendSome(log, 3, 100);
      }
      const server = `${dir}/server`;
      writeFiles(server, dataDirectory());
      const options = { ...ADDRESS, dataDirectory: server, storage, pool };
      const path =
        `${server}/streams/0/topics/0/partitions/0/00000000000000000000.index`;
      {
        using _reader = Deno.openSync(path);
        const refused = await assertRejects(
          () => handOver(`${dir}/log`, { ...options, dryRun: true }),
          Locked,
        );
        assertStringIncludes(
          refused.message,
          "whoever has '00000000000000000000.index' open (a running Iggy server",
        );
      }
      const { done } = await handOver(`${dir}/log`, options);
      assertEquals(done, true);
    }),
});
