/**
 * Makes every public call that takes a path, and the corresponding calls of Deno. Prints the
 * results of both as JSON.
 *
 * The argument is a directory with three equal trees. Deno's functions run in `deno`. A call that
 * Deno permits and that changes something runs in `free`. All other calls run in `kept`, which must
 * stay as it is.
 */
import { drive, driveSync } from "../../lib/base/mod.ts";
import {
  DirectFile,
  inspectLog,
  inspectLogSync,
  loadLibrary,
  Log,
  LogReader,
  planRepair,
  planRepairSync,
  probePath,
  probePathSync,
  repairLog,
  repairLogSync,
  type RepairPlan,
  verifyLog,
  verifyLogSync,
} from "../../mod.ts";
import { DiskStorage } from "../../storage.ts";
import {
  exportToIggy,
  exportToIggySync,
  importFromIggy,
  importFromIggySync,
} from "../../lib/iggy/mod.ts";
import { isOpenElsewhere } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "../../lib/testing/mod.ts";

/** Returns a path below a tree. */
type At = (name: string) => string;

/** A call, and what Deno's functions need at the same paths. */
interface Case {
  call: string;
  /** The paths below the tree. */
  paths: string[];
  deno: (at: At) => unknown;
  basalt: (at: At) => unknown;
  /** Whether it changes something where it is permitted. */
  changes: boolean;
  /** Whether it needs the library. */
  ffi: boolean;
  /**
   * Whether a single call of Deno decides the result, so that the message of a refusal is the same.
   */
  exact: boolean;
  /** Undoes the changes of the call. */
  undo?: (at: At) => void;
}

/** The result of a call. */
export interface Outcome {
  error?: string;
  message?: string;
}

/** What the process prints of a case. */
export interface Answer extends Pick<Case, "call" | "paths" | "ffi" | "exact"> {
  deno: Outcome;
  basalt: Outcome;
}

const FILES = ["file", "missing", "link", "crossing", "dangling", "proc"]
  .flatMap((name) => [`in/${name}`, `out/${name}`])
  .concat("in/../out/file");
const LOGS = ["log", "log link", "log crossing", "dangling", "missing"]
  .flatMap((name) => [`in/${name}`, `out/${name}`])
  .concat("in/file");
const SEGMENT = "00000000000000000000.log";
const PARTITION = "iggy/streams/0/topics/0/partitions/0";

const cases: Case[] = [];

function add(
  call: string,
  paths: string[],
  deno: (at: At) => unknown,
  basalt: (at: At) => unknown,
  more: Partial<Case> = {},
): void {
  const usual = { changes: false, ffi: true, exact: false };
  cases.push({ call, paths, deno, basalt, ...usual, ...more });
}

/** Opens with Deno, and closes. */
function open(path: string, options: Deno.OpenOptions = {}): void {
  const all = { read: !options.write, ...options };
  Deno.openSync(path, all).close();
}

/**
 * Makes the calls that a durable creation of a directory needs. The parent that holds its name is
 * read.
 */
function makeDirectory(path: string): void {
  let parent = path;
  try {
    Deno.statSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    do parent = parent.slice(0, parent.lastIndexOf("/")); while (
      !isThere(parent)
    );
    open(parent);
  }
  Deno.mkdirSync(path, { recursive: true });
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    // Deno does not report the type then, and must open the file.
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** The process runs without a umask, so nothing else restricts the modes of a log's files. */
function checkModes(dir: string): void {
  for (const { name } of Deno.readDirSync(dir)) {
    const mode = Deno.statSync(`${dir}/${name}`).mode! & 0o7777;
    if (mode !== 0o640) throw new Error(`${name} has 0${mode.toString(8)}`);
  }
}

/** Makes the calls that reading a log needs. */
function readLog(dir: string): void {
  Array.from(Deno.readDirSync(dir));
  open(`${dir}/${SEGMENT}`);
}

/** Makes the calls that writing an existing log needs. */
function writeLog(dir: string): void {
  Array.from(Deno.readDirSync(dir));
  open(`${dir}/${SEGMENT}`, { read: true, write: true });
}

async function drain(
  all: AsyncIterable<Disposable | object> | Iterable<Disposable | object>,
): Promise<void> {
  for await (const each of all) {
    if (Symbol.dispose in each) each[Symbol.dispose]();
  }
}

const removeMissing = (path: string): Partial<Case> => ({
  undo: (at) => {
    if (path.endsWith("missing")) Deno.removeSync(at(path));
  },
});

for (const path of FILES) {
  for (const direct of ["prefer", "never"] as const) {
    for (
      const options of [
        { read: true },
        { write: true },
        { read: true, write: true },
        { write: true, create: true },
        { read: true, write: true, createNew: true },
        { write: true, createNew: true },
        { write: true, truncate: true },
      ]
    ) {
      const changes = Object.keys(options).some((key) =>
        /create|truncate/.test(key)
      );
      const asked = `${Object.keys(options).join(" ")}, ${direct}`;
      const versions: [string, (at: At) => unknown][] = [
        [
          "open",
          async (at) =>
            (await DirectFile.open(at(path), { ...options, direct }))
              .closeSync(),
        ],
        [
          "openSync",
          (at) =>
            DirectFile.openSync(at(path), { ...options, direct }).closeSync(),
        ],
      ];
      for (const [name, call] of versions) {
        add(
          `DirectFile.${name}(${asked})`,
          [path],
          (at) => open(at(path), options),
          call,
          {
            changes,
            exact: true,
            ...(changes && { ...removeMissing(path) }),
          },
        );
      }
    }
  }
  const storage = () => new DiskStorage();
  const read = (at: At) => open(at(path));
  const exact = { exact: true };
  add(
    "DiskStorage.open",
    [path],
    read,
    async (at) => (await storage().open(at(path))).closeSync(),
    exact,
  );
  add(
    "DiskStorage.openSync",
    [path],
    (at) => open(at(path), { read: true, write: true }),
    (at) => storage().openSync(at(path), { write: true }).closeSync(),
    exact,
  );
  add(
    "isOpenElsewhere",
    [path],
    read,
    (at) => drive(isOpenElsewhere(at(path))),
    exact,
  );
  add(
    "isOpenElsewhere, sync",
    [path],
    read,
    (at) => driveSync(isOpenElsewhere(at(path))),
    exact,
  );
  const look = (at: At) => {
    Deno.statSync(at(path));
    open(at(path));
  };
  add("probePath", [path], look, (at) => probePath(at(path)), exact);
  add("probePathSync", [path], look, (at) => probePathSync(at(path)), exact);
}

for (const path of LOGS) {
  const reading: [string, (dir: string) => unknown][] = [
    ["LogReader.read", (dir) => drain(new LogReader(dir).read())],
    ["LogReader.readSync", (dir) => drain(new LogReader(dir).readSync())],
    ["LogReader.tail", (dir) => drain(new LogReader(dir).tail({ count: 1 }))],
    ["LogReader.stream", (dir) => drain(new LogReader(dir).stream())],
    ["inspectLog", inspectLog],
    ["inspectLogSync", inspectLogSync],
    ["verifyLog", (dir) => drain(verifyLog(dir))],
    ["verifyLogSync", (dir) => drain(verifyLogSync(dir))],
    ["planRepair", planRepair],
    ["planRepairSync", planRepairSync],
  ];
  for (const [call, basalt] of reading) {
    add(call, [path], (at) => readLog(at(path)), (at) => basalt(at(path)));
  }
  const storage = () => new DiskStorage();
  const directory: [string, (dir: string) => unknown][] = [
    ["DiskStorage.syncDirectory", (dir) => storage().syncDirectory(dir)],
    [
      "DiskStorage.syncDirectorySync",
      (dir) => storage().syncDirectorySync(dir),
    ],
    ["DiskStorage.lock", (dir) => storage().lock(dir)!.release()],
  ];
  if (path !== "in/file") {
    for (const [call, basalt] of directory) {
      add(call, [path], (at) => open(at(path)), (at) => basalt(at(path)), {
        exact: true,
      });
    }
  }
  const list = (at: At) => Array.from(Deno.readDirSync(at(path)));
  const more = { ffi: false, exact: true };
  add("DiskStorage.list", [path], list, (at) => storage().list(at(path)), more);
  add(
    "DiskStorage.listSync",
    [path],
    list,
    (at) => storage().listSync(at(path)),
    more,
  );
}

for (const path of LOGS) {
  const probe = (at: At) => {
    Deno.statSync(at(path));
    const name = `${at(path)}/probe`;
    open(name, { read: true, write: true, createNew: true });
    Deno.removeSync(name);
  };
  if (!path.endsWith("file")) {
    const changes = { changes: true };
    add("probePath", [path], probe, (at) => probePath(at(path)), changes);
    add(
      "probePathSync",
      [path],
      probe,
      (at) => probePathSync(at(path)),
      changes,
    );
  }
  const options = { create: false, prepareBytes: 0 };
  const write = (at: At) => writeLog(at(path));
  const writing: [string, (dir: string) => unknown][] = [
    ["Log.open", async (dir) => (await Log.open(dir, options)).closeSync()],
    ["Log.openSync", (dir) => Log.openSync(dir, options).closeSync()],
  ];
  if (path.endsWith("missing") || path.endsWith("/log")) {
    const broken = path.replace("/log", "/broken");
    const write = (at: At) => writeLog(at(broken));
    const plan = (dir: string) =>
      JSON.parse(Deno.args[1]!.replaceAll("BROKEN", dir)) as RepairPlan;
    add(
      "repairLog",
      [broken],
      write,
      (at) => repairLog(at(broken), plan(at(broken))),
      { changes: true },
    );
    // What was repaired above has changed since.
    const again = broken.replace("broken", "broken too");
    const writeAgain = (at: At) => writeLog(at(again));
    add(
      "repairLogSync",
      [again],
      writeAgain,
      (at) => repairLogSync(at(again), plan(at(again))),
      { changes: true },
    );
  }
  for (const [call, basalt] of writing) {
    add(call, [path], write, (at) => basalt(at(path)), { changes: true });
  }
}

const NEW = ["in/new", "in/new/below", "out/new", "fresh", "fresh/below"];
for (const path of [...NEW, "in/log", "out/log", "in/log crossing"]) {
  const storage = () => new DiskStorage();
  const options = { prepareBytes: 0 };
  const top = path.split("/").slice(0, path.startsWith("fresh") ? 1 : 2)
    .join("/");
  const more = {
    changes: true,
    ffi: NEW.includes(path),
    undo: (at: At) => {
      if (NEW.includes(path)) Deno.removeSync(at(top), { recursive: true });
    },
  };
  const making: [string, (dir: string) => unknown][] = [
    ["DiskStorage.makeDirectory", (dir) => storage().makeDirectory(dir)],
    [
      "DiskStorage.makeDirectorySync",
      (dir) => storage().makeDirectorySync(dir),
    ],
    [
      "Log.open(create)",
      async (dir) => {
        using _log = await Log.open(dir, options);
        checkModes(dir);
      },
    ],
    [
      "Log.openSync(create)",
      (dir) => {
        using _log = Log.openSync(dir, options);
        checkModes(dir);
      },
    ],
  ];
  for (const [call, basalt] of making) {
    add(
      call,
      [path],
      (at) => makeDirectory(at(path)),
      (at) => basalt(at(path)),
      { ...more, ffi: more.ffi || call.startsWith("Log") },
    );
  }
}

for (
  const [log, iggy] of [["in", "in"], ["in", "out"], ["out", "in"]] as const
) {
  for (const dryRun of [true, false]) {
    const address = (at: At) => ({
      dataDirectory: at(`${iggy}/iggy`),
      stream: "s",
      topic: "t",
    });
    const given = { dryRun, format: "0.8" } as const;
    const undo = (at: At) => {
      if (dryRun) return;
      for (const { name } of Deno.readDirSync(at(`${iggy}/${PARTITION}`))) {
        if (/\.(log|index)$/.test(name)) {
          Deno.truncateSync(at(`${iggy}/${PARTITION}/${name}`), 0);
        }
      }
    };
    const changes = !dryRun;
    const suffix = dryRun ? "(dryRun)" : "";
    const paths = [`${log}/log`, `${iggy}/iggy`];
    const handing = (at: At) => {
      readLog(at(`${iggy}/${PARTITION}`));
      readLog(at(`${log}/log`));
      if (!dryRun) writeLog(at(`${iggy}/${PARTITION}`));
    };
    add(
      `exportToIggy${suffix}`,
      paths,
      handing,
      (at) => exportToIggy(at(`${log}/log`), address(at), given),
      { changes, undo },
    );
    add(
      `exportToIggySync${suffix}`,
      paths,
      handing,
      (at) => exportToIggySync(at(`${log}/log`), address(at), given),
      { changes, undo },
    );
    const taken = `${log}/taken`;
    const taking = (at: At) => {
      readLog(at(`${iggy}/${PARTITION}`));
      isThereOrThrow(at(taken));
      if (!dryRun) makeDirectory(at(taken));
    };
    const untake = (at: At) => {
      if (!dryRun) Deno.removeSync(at(taken), { recursive: true });
    };
    add(
      `importFromIggy${suffix}`,
      [taken, `${iggy}/iggy`],
      taking,
      (at) => importFromIggy(address(at), at(taken), { dryRun }),
      { changes, undo: untake },
    );
    add(
      `importFromIggySync${suffix}`,
      [taken, `${iggy}/iggy`],
      taking,
      (at) => importFromIggySync(address(at), at(taken), { dryRun }),
      { changes, undo: untake },
    );
  }
}

/** Opens what may be missing. */
function isThereOrThrow(path: string): void {
  try {
    Array.from(Deno.readDirSync(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

for (const [from, to] of [["in", "in"], ["in", "out"], ["out", "in"]]) {
  const storage = () => new DiskStorage();
  for (const name of ["file", "link", "crossing", "dangling", "missing"]) {
    const [a, b] = [`${from}/${name}`, `${to}/renamed`];
    const rename = (at: At) => Deno.renameSync(at(a), at(b));
    const more = {
      changes: true,
      ffi: false,
      exact: true,
      undo: (at: At) => Deno.renameSync(at(b), at(a)),
    };
    add(
      "DiskStorage.rename",
      [a, b],
      rename,
      (at) => storage().rename(at(a), at(b)),
      more,
    );
    add(
      "DiskStorage.renameSync",
      [a, b],
      rename,
      (at) => storage().renameSync(at(a), at(b)),
      more,
    );
  }
}

// Last, because their changes are not undone.
for (const path of FILES) {
  const storage = () => new DiskStorage();
  const remove = (at: At) => Deno.removeSync(at(path));
  const more = { changes: true, ffi: false, exact: true };
  add(
    "DiskStorage.removeSync",
    [path],
    remove,
    (at) => storage().removeSync(at(path)),
    more,
  );
  add(
    "DiskStorage.remove",
    [path],
    remove,
    (at) => storage().remove(at(path)),
    more,
  );
}

if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
  add(
    "loadLibrary",
    ["in/file"],
    (at) => Deno.dlopen(at("in/file"), {}),
    (at) => loadLibrary({ path: at("in/file") }),
  );
}
add("SimulatedDisk.openSync", ["in/file"], () => {}, (at) => {
  const disk = new SimulatedDisk();
  disk.poke(at("in/file"), 0, new Uint8Array(1));
  disk.removeSync(at("in/file"));
}, { ffi: false });

async function outcome(call: () => unknown): Promise<Outcome> {
  try {
    await call();
    return {};
  } catch (error) {
    const { constructor, message } = error as Error;
    return { error: constructor.name, message };
  }
}

if (import.meta.main) {
  const root = Deno.args[0]!;
  const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  const answers: Answer[] = [];
  for (const each of cases) {
    const { call, paths, exact } = each;
    const run = async (
      tree: string,
      call: (at: At) => unknown,
    ): Promise<Outcome> => {
      const at: At = (name) => `${root}/${tree}/${name}`;
      const found = await outcome(() => call(at));
      // What cannot be undone stays, in both trees.
      if (found.error === undefined && tree !== "kept") {
        await outcome(() => each.undo?.(at));
      }
      if (found.message !== undefined) {
        found.message = found.message.replaceAll(`${root}/${tree}`, "TREE");
      }
      return found;
    };
    const deno = await run("deno", each.deno);
    const refused = deno.error === "NotCapable" || each.ffi && !ffi;
    const tree = refused || !each.changes ? "kept" : "free";
    const basalt = await run(tree, each.basalt);
    answers.push({ call, paths, ffi: each.ffi, exact, deno, basalt });
  }
  console.log(JSON.stringify(answers));
}
