/**
 * Every call that takes a path, with every form of path: the same results and the same names
 * afterwards, including the text of messages.
 */
import { assertEquals } from "@std/assert";
import {
  type Answer,
  answerOf,
  PAIRS,
  simulatedLike,
  type Subject,
} from "./_subject.ts";

/** One byte longer than a name may be. */
const LONG = "x".repeat(256);

/**
 * Relative to the directory of the case: `a` is a file, `d` an empty directory, and `e` a directory
 * with the file `f`. `n`, `x` and `z` do not exist.
 */
const PATHS: readonly string[] = [
  "",
  "/",
  "/.",
  "/..",
  ...["a", "d", "e", "n", "a/x", "n/x", "d//x"].flatMap((name) =>
    ["", "/", "/.", "/..", "/../a", "/../n", "/./"].map((end) =>
      `/${name}${end}`
    )
  ),
  "/e/f",
  `/${LONG}`,
  `/${LONG}/x`,
  `/${LONG}/..`,
  `/n/${LONG}`,
  `/a/${LONG}`,
  `/${"é".repeat(127)}`,
  `/${"é".repeat(128)}`,
  `/${"./".repeat(2048)}a`,
  "/n\0",
  "/n\ud800",
  "/n\n",
  "/ ",
  "/\\",
];

/** Cases that rename a directory. */
const RENAMED_DIRECTORY = /^rename from '(|\/(|d\/?|d\/\/x\/\.\.|e\/?))'$/;

type Call = (
  subject: Subject,
  path: string,
  directory: string,
) => Promise<Answer>;

const opens = (options: Record<string, boolean>): Call => async (on, path) => {
  const opened = await on.ask(on.storage, "open", path, options);
  if ("error" in opened) return opened;
  await on.call(opened.value, "close");
  return { value: opened.value.path };
};

const CALLS: Readonly<Record<string, Call>> = {
  "open to read": opens({}),
  "open to write": opens({ write: true }),
  "open to make": opens({ write: true, create: true }),
  "open to make new": opens({ write: true, createNew: true }),
  list: (on, path) => on.ask(on.storage, "list", path),
  makeDirectory: (on, path) => on.ask(on.storage, "makeDirectory", path),
  remove: (on, path) => on.ask(on.storage, "remove", path),
  syncDirectory: (on, path) => on.ask(on.storage, "syncDirectory", path),
  "rename from": (on, path, directory) =>
    on.ask(on.storage, "rename", path, `${directory}/z`),
  "rename to": (on, path, directory) =>
    on.ask(on.storage, "rename", `${directory}/a`, path),
  lock: (on, path) =>
    answerOf(() => {
      const lock = on.storage.lock(path);
      lock?.release();
      return lock !== undefined;
    }),
};

/** Returns all names below a directory, directories with a slash. */
function names(on: Subject, directory: string, prefix = ""): string[] {
  return on.storage.listSync(directory).flatMap(({ name, isDirectory }) =>
    isDirectory
      ? [
        `${prefix}${name}/`,
        ...names(on, `${directory}/${name}`, `${prefix}${name}/`),
      ]
      : `${prefix}${name}`
  );
}

/** Returns the result of every call for every path, and the names that it left. */
async function answers(on: Subject): Promise<Map<string, unknown>> {
  const { storage, root } = on;
  const given = new Map<string, unknown>();
  const parent = `${root}/p`;
  const directory = `${parent}/t`;
  const make = () => {
    storage.makeDirectorySync(`${directory}/d`);
    storage.makeDirectorySync(`${directory}/e`);
    for (const name of ["a", "e/f"]) {
      storage.openSync(`${directory}/${name}`, { write: true, create: true })
        .closeSync();
    }
  };
  make();
  const fresh = names(on, parent).join();
  for (const end of PATHS) {
    const path = end === "" ? "" : directory + end;
    for (const [call, run] of Object.entries(CALLS)) {
      const answer = await run(on, path, directory);
      const left = names(on, parent);
      given.set(`${call} '${end}'`, { answer, left });
      if (left.join() === fresh) continue;
      for (const name of left.reverse()) {
        if (name !== "t/") storage.removeSync(`${parent}/${name}`);
      }
      make();
    }
  }
  return given;
}

for (const [kind, mode] of PAIRS) {
  Deno.test(`SimulatedDisk gives the results of ${kind.name} for every path, ${mode}`, async () => {
    using disk = kind.make(mode);
    using simulated = simulatedLike(disk, mode);
    const expected = await answers(disk);
    const given = await answers(simulated);
    for (const [what, answer] of expected) {
      // See differences_test.ts.
      if (RENAMED_DIRECTORY.test(what)) continue;
      assertEquals(given.get(what), answer, what);
    }
  });
}
