/** What an export and an import refuse, their messages, and that they change nothing. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import {
  type ExportOptions,
  exportToIggy,
  importFromIggy,
  type PartitionAddress,
} from "../../lib/iggy/mod.ts";
import { UnsupportedError } from "../../lib/native/mod.ts";
import { Log } from "../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../lib/segment/mod.ts";
import { DiskStorage, LockedError } from "../../lib/storage/mod.ts";
import { xxh3 } from "../codec/_xxh3.ts";
import { FILES } from "../permissions.ts";
import { dataDirectory, putFiles, writeFiles } from "./_data_directory.ts";
import {
  concat,
  type Files,
  logNames,
  makeSimpleLog,
  putAll,
  segmentFiles,
  testPool,
} from "./_support.ts";

const SERVER = "/server";
const PARTITION = `${SERVER}/streams/0/topics/0/partitions/0`;
const BY_NAME = { dataDirectory: SERVER, stream: "s", topic: "t" };
const COUNT = 60;
const LOG = makeSimpleLog(COUNT);
const FIRST = "00000000000000000000";
const LAST = logNames(LOG).at(-1)!.slice(0, 20);

function place(version = "0.8.0") {
  const storage = new SimulatedDisk();
  putAll(storage, "/log", LOG);
  putFiles(storage, SERVER, dataDirectory(version));
  return { storage, pool: testPool() };
}

type Spoil = (storage: SimulatedDisk) => void;

interface Refusal {
  spoil: Spoil;
  version?: string;
  target?: string | PartitionAddress;
  options?: ExportOptions;
  error: new (...args: never[]) => Error;
  says: string[];
  /** Whether only a comparison of bytes notices it, which a dry run does not make. */
  dryRunPasses?: true;
}

function replace(storage: SimulatedDisk, path: string, bytes: Uint8Array) {
  storage.removeSync(path);
  storage.poke(path, 0, bytes);
}

/** Makes an owner file of process 4711. */
function ownerFile(): Uint8Array {
  const bytes = new Uint8Array(4096);
  bytes.set(new TextEncoder().encode("BASALTWR"));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(40, 4711n, true);
  view.setUint32(8, 1, true);
  view.setBigUint64(48, 1_700_000_000_000_000n, true);
  view.setBigUint64(64, xxh3(bytes.subarray(0, 64)), true);
  return bytes;
}

const EXPORT: Record<string, Refusal> = {
  "the directory of a server of 0.9 in the format of 0.8": {
    spoil: () => {},
    version: "0.9",
    error: UnsupportedError,
    says: ["the data directory of Iggy 0.9", "one of Iggy 0.8"],
  },
  "the directory of a server of 0.8 in the format of 0.9": {
    spoil: () => {},
    options: { format: "0.9" },
    target: PARTITION,
    error: UnsupportedError,
    says: ["the data directory of Iggy 0.8", 'format: "0.8"'],
  },
  "names in the directory of a server of 0.9": {
    spoil: () => {},
    version: "0.9",
    target: BY_NAME,
    options: { format: "0.9" },
    error: UnsupportedError,
    says: ['stream "s"', "the ids of the stream and the topic"],
  },
  "a partition that a server of 0.9 does not have": {
    spoil: () => {},
    version: "0.9",
    target: { dataDirectory: SERVER, stream: 0, topic: 1 },
    options: { format: "0.9" },
    error: Deno.errors.NotFound,
    says: ["No partition 0 in topic 1 of stream 0"],
  },
  "a directory that states version 0.9 in the old place": {
    spoil: (storage) =>
      replace(
        storage,
        `${SERVER}/state/info`,
        dataDirectory("0.9.0-edge.5")["state/info"]!,
      ),
    error: UnsupportedError,
    says: ["found Iggy 0.9.0-edge.5"],
  },
  "a directory of an older server": {
    spoil: (storage) =>
      replace(
        storage,
        `${SERVER}/state/info`,
        dataDirectory("0.7.2")["state/info"]!,
      ),
    error: UnsupportedError,
    says: ["found Iggy 0.7.2"],
  },
  "a directory that is not a server's": {
    spoil: () => {},
    target: { ...BY_NAME, dataDirectory: "/elsewhere" },
    error: UnsupportedError,
    says: ["'/elsewhere'", "no 'state/info'"],
  },
  "a version file of garbage": {
    spoil: (storage) =>
      storage.poke(`${SERVER}/state/info`, 0, new Uint8Array(40).fill(0xff)),
    error: UnsupportedError,
    says: ["a 'state/info' that states no version"],
  },
  "a state log that is cut off": {
    spoil: (storage) => {
      const path = `${SERVER}/state/log`;
      replace(storage, path, storage.peek(path).subarray(0, -1));
    },
    target: BY_NAME,
    error: UnsupportedError,
    says: [`'${SERVER}/state/log'`, "an entry at byte"],
  },
  "an encrypted server": {
    spoil: (storage) =>
      storage.poke(
        `${SERVER}/runtime/current_config.toml`,
        0,
        new TextEncoder().encode(
          '[system]\n\n[system.encryption]\nenabled = true\nkey = ""\n',
        ),
      ),
    error: UnsupportedError,
    says: ["encrypts payloads"],
  },
  "a stream that does not exist": {
    spoil: () => {},
    target: { ...BY_NAME, stream: "orders" },
    error: Deno.errors.NotFound,
    says: ['No stream "orders"', `'${SERVER}'`, "there are 0 ('s')"],
  },
  "a topic that does not exist": {
    spoil: () => {},
    target: { ...BY_NAME, topic: "T" },
    error: Deno.errors.NotFound,
    says: ['No topic "T"', "stream 0 ('s')", "there are 0 ('t')"],
  },
  "a partition that does not exist": {
    spoil: () => {},
    target: { ...BY_NAME, partition: 1 },
    error: Deno.errors.NotFound,
    says: ["No partition 1 in topic 0 ('t')", "there are 0"],
  },
  "a partition with messages": {
    spoil: (storage) =>
      storage.poke(`${PARTITION}/${FIRST}.log`, 0, new Uint8Array(69)),
    error: Deno.errors.AlreadyExists,
    says: [PARTITION, `'${FIRST}.log' there has 69 bytes`],
  },
  "a partition with other messages of the same length": {
    spoil: (storage) => {
      const bytes = LOG.get(`${FIRST}.log`)!.slice();
      bytes[bytes.length - 1]! ^= 1;
      storage.poke(`/p/${FIRST}.log`, 0, bytes);
    },
    target: "/p",
    options: { format: "0.9" },
    error: Deno.errors.AlreadyExists,
    says: ["'/p'", `'${FIRST}.log' there has`],
    dryRunPasses: true,
  },
  "a partition with messages in another segment": {
    spoil: (storage) =>
      storage.poke(`/p/${"7".padStart(20, "0")}.log`, 0, new Uint8Array(69)),
    target: "/p",
    options: { format: "0.9" },
    error: Deno.errors.AlreadyExists,
    says: ["'00000000000000000007.log' there has 69 bytes"],
  },
  "a directory that is a log": {
    spoil: (storage) => storage.poke("/p/meta", 0, new Uint8Array(8192)),
    target: "/p",
    error: Deno.errors.AlreadyExists,
    says: ["'/p'", "it is a log with other messages"],
  },
  "a log that was not closed": {
    spoil: (storage) => storage.poke("/log/writer", 0, ownerFile()),
    error: Deno.errors.Busy,
    says: ["'/log'", "process 4711", "Log.open"],
  },
  "a log with a damaged batch": {
    spoil: (storage) => storage.flipBit(`/log/${LAST}.log`, 1000, 3),
    error: CorruptSegmentError,
    says: [`/log/${LAST}.log`, "at byte 0", "checksum"],
  },
  "a log whose last batch is cut off": {
    spoil: (storage) => {
      const path = `/log/${LAST}.log`;
      replace(storage, path, storage.peek(path).subarray(0, -1));
    },
    error: CorruptSegmentError,
    says: [`/log/${LAST}.log`, "the last batch is cut off"],
  },
  "a log with zeros in a segment that is not the last": {
    spoil: (storage) => {
      const path = `/log/${FIRST}.log`;
      const bytes = storage.peek(path);
      bytes.fill(0, bytes.length - 2048);
      storage.poke(path, 0, bytes);
    },
    error: CorruptSegmentError,
    says: [`/log/${FIRST}.log`],
  },
  "a log without one of its segments": {
    spoil: (storage) => {
      storage.removeSync(`/log/${logNames(LOG)[1]!}`);
      storage.removeSync(
        `/log/${logNames(LOG)[1]!.replace(".log", ".index")}`,
      );
    },
    error: CorruptSegmentError,
    says: [`/log/${LAST}.log`, "ends before offset 20"],
  },
  "a log of which an index entry is wrong": {
    spoil: (storage) => storage.flipBit(`/log/${LAST}.index`, 16, 3),
    error: CorruptSegmentError,
    says: [`/log/${LAST}.index`, "the entry does not agree"],
  },
  "a log whose index covers more": {
    spoil: (storage) => replace(storage, `/log/${LAST}.log`, new Uint8Array(0)),
    error: CorruptSegmentError,
    says: [`/log/${LAST}.log`, "its index vouches for more messages"],
  },
  "an index without its log": {
    spoil: (storage) => storage.removeSync(`/log/${LAST}.log`),
    error: CorruptSegmentError,
    says: [`/log/${LAST}.index`, "its '.log' is missing"],
  },
  "a directory without a log": {
    spoil: (storage) => {
      for (const path of storage.files()) {
        if (path.startsWith("/log/")) storage.removeSync(path);
      }
    },
    error: Deno.errors.NotFound,
    says: ["'/log'"],
  },
};

for (const [what, refusal] of Object.entries(EXPORT)) {
  Deno.test(`exportToIggy() refuses ${what}, and changes nothing`, async () => {
    const { spoil, version, error, says } = refusal;
    const { storage, pool } = place(version);
    spoil(storage);
    const before = storage.hash();
    const { target = PARTITION } = refusal;
    const options: ExportOptions = {
      format: "0.8",
      ...refusal.options,
      storage,
      pool,
    };
    if (target === "/p") storage.makeDirectorySync("/p");
    const thrown = await assertRejects(() =>
      exportToIggy("/log", target, options)
    );
    assertInstanceOf(thrown, error, String(thrown));
    for (const part of says) assertStringIncludes(thrown.message, part);
    assertEquals(storage.hash(), before);
    assertEquals([pool.stats().inUseBytes, storage.openFiles], [0, 0]);
    const dry = () =>
      exportToIggy("/log", target, { ...options, dryRun: true });
    if (refusal.dryRunPasses) await dry();
    else await assertRejects(dry, error);
    assertEquals(storage.hash(), before);
    assertEquals([pool.stats().inUseBytes, storage.openFiles], [0, 0]);
  });
}

/** Makes partitions of both formats with the messages of the log. */
async function partitions(): Promise<Record<"0.9" | "0.8", Files>> {
  const { storage, pool } = place();
  for (const format of ["0.9", "0.8"] as const) {
    await exportToIggy("/log", `/p${format}`, { storage, pool, format });
  }
  return {
    "0.9": segmentFiles(storage, "/p0.9"),
    "0.8": segmentFiles(storage, "/p0.8"),
  };
}

interface ImportRefusal {
  format: "0.9" | "0.8";
  spoil: (files: Files) => void;
  error?: new (...args: never[]) => Error;
  says: string[];
  /** Whether `tornTail: "cut"` imports the rest, and without how many messages. */
  lost?: number;
  /** Whether it can be imported after its index is removed. */
  withoutIndex?: true;
}

const last = (kind: "log" | "index") => `${LAST}.${kind}`;

const IMPORT: Record<string, ImportRefusal> = {
  "a torn message": {
    format: "0.8",
    spoil: (files) => {
      files.set(last("log"), files.get(last("log"))!.slice(0, -1));
      files.set(last("index"), files.get(last("index"))!.slice(0, -16));
    },
    says: [last("log"), "the last message is cut off", "tornTail"],
    lost: 1,
  },
  "a torn message whose last bytes are zeros": {
    format: "0.8",
    spoil: (files) => {
      files.get(last("log"))!.fill(0, -100);
      files.set(last("index"), files.get(last("index"))!.slice(0, -16));
    },
    says: [last("log"), "checksum", "Start the server"],
    lost: 1,
  },
  "zeros after the last message": {
    format: "0.8",
    spoil: (files) =>
      files.set(
        last("log"),
        concat([files.get(last("log"))!, new Uint8Array(5000)]),
      ),
    says: [last("log"), "zeros where a message should be", "tornTail"],
    lost: 0,
  },
  "a torn batch": {
    format: "0.9",
    spoil: (files) =>
      files.set(last("log"), files.get(last("log"))!.slice(0, -1)),
    says: [last("log"), "the last batch is cut off", "tornTail"],
    lost: 4,
  },
  "zeros after the last batch": {
    format: "0.9",
    spoil: (files) =>
      files.set(
        last("log"),
        concat([files.get(last("log"))!, new Uint8Array(5_000_000)]),
      ),
    says: [last("log"), "zeros where a batch should be", "tornTail"],
    lost: 0,
  },
  "a torn message that the index covers": {
    format: "0.8",
    spoil: (files) =>
      files.set(last("log"), files.get(last("log"))!.slice(0, -1)),
    says: [last("log"), "its index vouches for more messages"],
  },
  "a damaged message": {
    format: "0.8",
    spoil: (files) => {
      files.get(last("log"))![70]! ^= 1;
      files.delete(last("index"));
    },
    says: [last("log"), "at byte 0", "checksum"],
  },
  "a damaged batch": {
    format: "0.9",
    spoil: (files) => {
      files.get(last("log"))![310]! ^= 1;
      files.delete(last("index"));
    },
    says: [last("log"), "at byte 0", "checksum"],
  },
  "a torn segment that is not the last": {
    format: "0.8",
    spoil: (files) => {
      const name = `${FIRST}.log`;
      files.set(name, files.get(name)!.slice(0, -1));
      files.delete(`${FIRST}.index`);
    },
    says: [`${FIRST}.log`, "the last message is cut off"],
  },
  "an index that was saved twice": {
    format: "0.8",
    spoil: (files) => {
      const index = files.get(last("index"))!;
      files.set(last("index"), concat([index, index]));
    },
    says: [last("index"), "saved twice", "remove the file and import again"],
    withoutIndex: true,
  },
  "an index with the entries of Iggy 0.9": {
    format: "0.8",
    spoil: (files) => {
      const index = new Uint8Array(48);
      const view = new DataView(index.buffer);
      view.setBigUint64(0, BigInt(Number(LAST)), true);
      files.set(last("index"), index);
    },
    says: [last("index"), "24-byte entries of Iggy 0.9", "remove the file"],
    withoutIndex: true,
  },
  "an index with too few entries": {
    format: "0.8",
    spoil: (files) =>
      files.set(last("index"), files.get(last("index"))!.slice(0, -16)),
    says: [last("index"), "not closed well", "remove the file"],
    withoutIndex: true,
  },
  "an index with the entries of Iggy 0.8": {
    format: "0.9",
    spoil: (files) => {
      const index = new Uint8Array(48);
      new DataView(index.buffer).setUint32(4, 464, true);
      files.set(last("index"), index);
    },
    says: [last("index"), "the entry does not agree", "remove the file"],
    withoutIndex: true,
  },
  "an index that ends within an entry": {
    format: "0.9",
    spoil: (files) =>
      files.set(
        last("index"),
        concat([files.get(last("index"))!, new Uint8Array(7)]),
      ),
    says: [last("index"), "byte 24", "the last entry is cut off", "remove"],
    withoutIndex: true,
  },
  "the index of a deleted first segment": {
    format: "0.9",
    spoil: (files) => files.delete(`${FIRST}.log`),
    says: [`${FIRST}.index`, "its '.log' is missing", "remove the file"],
  },
  "the index of the last segment without its log": {
    format: "0.9",
    spoil: (files) => files.delete(last("log")),
    says: [last("index"), "its '.log' is missing"],
  },
  "files of neither format": {
    format: "0.9",
    spoil: (files) => files.get(`${FIRST}.log`)!.fill(0x4b, 0, 300),
    error: UnsupportedError,
    says: [
      "neither a batch of Iggy 0.9",
      "reserved bytes of the batch header are not 0",
      "nor a message of Iggy up to 0.8",
      "a length is above its maximum",
    ],
  },
  "segments with a gap": {
    format: "0.8",
    spoil: (files) => {
      for (const name of [...files.keys()].slice(2, 4)) files.delete(name);
    },
    says: [last("log"), "ends before offset 20"],
  },
};

for (const [what, refusal] of Object.entries(IMPORT)) {
  Deno.test(`importFromIggy() refuses ${what} of Iggy ${refusal.format}, and says what to do`, async () => {
    const { format, spoil, error = CorruptSegmentError, says } = refusal;
    const files = (await partitions())[format];
    spoil(files);
    const { storage, pool } = place();
    putAll(storage, "/p", files);
    storage.makeDirectorySync("/taken");
    const before = storage.hash();
    const options = { storage, pool };
    const thrown = await assertRejects(() =>
      importFromIggy("/p", "/taken", options)
    );
    assertInstanceOf(thrown, error, String(thrown));
    for (const part of says) assertStringIncludes(thrown.message, part);
    assertEquals(storage.hash(), before);
    assertEquals([pool.stats().inUseBytes, storage.openFiles], [0, 0]);

    const cut = { ...options, tornTail: "cut" } as const;
    if (refusal.lost === undefined) {
      await assertRejects(() => importFromIggy("/p", "/taken", cut));
      assertEquals(storage.hash(), before);
    } else {
      const report = await importFromIggy("/p", "/taken", cut);
      assertEquals(report.messages, COUNT - refusal.lost);
      assert(report.tornBytesCut > 0);
    }
    if (refusal.withoutIndex) {
      storage.removeSync(`/p/${last("index")}`);
      const report = await importFromIggy("/p", "/taken", options);
      assertEquals(report.messages, COUNT);
    }
  });
}

for (const format of ["0.9", "0.8"] as const) {
  Deno.test(`importFromIggy() refuses a partition of Iggy ${format} with any bit flipped`, async () => {
    const files = (await partitions())[format];
    const { storage, pool } = place();
    putAll(storage, "/p", files);
    const options = { storage, pool };
    const total = 8 * logNames(files)
      .reduce((sum, name) => sum + files.get(name)!.length, 0);
    // A step that is coprime to 8 reaches each bit of a byte, and 1000 of them reach all fields.
    const step = Math.floor(total / 1000) | 1;
    for (let bit = 0; bit < total; bit += step) {
      let at = bit;
      const name = logNames(files).find((name) => {
        const bits = 8 * files.get(name)!.length;
        if (at < bits) return true;
        at -= bits;
        return false;
      })!;
      const flip = () => storage.flipBit(`/p/${name}`, at >> 3, at & 7);
      flip();
      await assertRejects(
        () => importFromIggy("/p", "/taken", { ...options, dryRun: true }),
        Error,
        name.slice(0, 20),
        `bit ${at} of ${name}`,
      );
      flip();
    }
    const { messages } = await importFromIggy("/p", "/taken", options);
    assertEquals(messages, COUNT);
  });
}

for (const format of ["0.9", "0.8"] as const) {
  Deno.test(`importFromIggy() makes a log with the first offset of a partition of Iggy ${format} with deleted segments`, async () => {
    const files = (await partitions())[format];
    for (const kind of ["log", "index"]) files.delete(`${FIRST}.${kind}`);
    const { storage, pool } = place();
    putAll(storage, "/p", files);
    const report = await importFromIggy("/p", "/taken", { storage, pool });
    assertEquals([report.firstOffset, report.messages], [20, 40]);
    await using log = await Log.open("/taken", { storage, pool });
    assertEquals([log.firstOffset, log.append("more")], [20, 60]);
  });
}

Deno.test("exportToIggy() refuses a log, and importFromIggy() a directory, that a writer has open", async () => {
  const { storage, pool } = place();
  const options = { storage, pool };
  await exportToIggy("/log", "/p", options);
  const lock = storage.lock("/log")!;
  const before = storage.hash();
  await assertRejects(() => exportToIggy("/log", "/q", options), LockedError);
  await assertRejects(() => importFromIggy("/p", "/log", options), LockedError);
  lock.release();
  storage.poke("/log/writer", 0, ownerFile());
  const busy = await assertRejects(
    () => importFromIggy("/p", "/log", options),
    Deno.errors.Busy,
  );
  assertStringIncludes(busy.message, "process 4711");
  storage.removeSync("/log/writer");
  assertEquals(storage.hash(), before);
});

Deno.test({
  name:
    "exportToIggy() refuses a partition while another process has a file of it open",
  ignore: !FILES,
  fn: async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
    const pool = testPool();
    try {
      const storage = new DiskStorage({ pool });
      writeFiles(`${dir}/log`, Object.fromEntries(LOG));
      writeFiles(`${dir}/server`, dataDirectory("0.9"));
      const target = `${dir}/server/streams/0/topics/0/partitions/0`;
      const options = { storage, pool };
      {
        using _reader = Deno.openSync(`${target}/${FIRST}.index`);
        const refused = await assertRejects(
          () =>
            exportToIggy(`${dir}/log`, target, { ...options, dryRun: true }),
          LockedError,
        );
        assertStringIncludes(
          refused.message,
          `the process that has '${FIRST}.index' open (a running Iggy server`,
        );
      }
      const { isDone } = await exportToIggy(`${dir}/log`, target, options);
      assertEquals(isDone, true);
    } finally {
      pool.close();
      Deno.removeSync(dir, { recursive: true });
    }
  },
});
