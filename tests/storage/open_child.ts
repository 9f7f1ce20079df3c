/**
 * Opens files with Deno and with Basalt, and prints the result of each. It runs in a process with
 * fewer permissions.
 */
import { DirectFile, DiskStorage } from "../../lib/storage/mod.ts";

const [dir] = Deno.args as [string];

/** Returns the class and message of a call's error, or `"opened"`. */
async function outcome(
  call: () => Disposable | Promise<Disposable>,
): Promise<string> {
  try {
    (await call())[Symbol.dispose]();
    return "opened";
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      return `NotCapable: ${error.message}`;
    }
    return (error as Error).constructor.name;
  }
}

const cases: [string, Deno.OpenOptions][] = [
  ["there", { read: true }],
  ["there", { write: true }],
  ["there", { read: true, write: true }],
  ["there", { write: true, truncate: true }],
  ["there", { write: true, create: true }],
  ["missing", { read: true }],
  ["missing", { read: true, write: true, create: true }],
  ["missing", { write: true, createNew: true }],
];

const results = [];
for (const [name, options] of cases) {
  const result: Record<string, unknown> = { name, options };
  const calls = {
    Deno: (path: string) => Deno.open(path, options),
    open: (path: string) => DirectFile.open(path, options),
    openSync: (path: string) => DirectFile.openSync(path, options),
  };
  for (const [form, call] of Object.entries(calls)) {
    const path = `${dir}/${name}`;
    result[form] = await outcome(() => call(path));
    try {
      if (name === "missing") Deno.removeSync(path);
    } catch {
      // It was not created.
    }
  }
  results.push(result);
}

const storage = new DiskStorage();
const unit = { [Symbol.dispose]() {} };
const others = {
  list: [() => Array.from(Deno.readDirSync(dir)), () => storage.listSync(dir)],
  rename: [
    () => Deno.renameSync(`${dir}/a`, `${dir}/b`),
    () => storage.renameSync(`${dir}/a`, `${dir}/b`),
  ],
  remove: [
    () => Deno.removeSync(`${dir}/a`),
    () => storage.removeSync(`${dir}/a`),
  ],
} as const;
for (const [name, [ofDeno, ofBasalt]] of Object.entries(others)) {
  results.push({
    name,
    Deno: (await outcome(() => (ofDeno(), unit))).split(":")[0],
    open: (await outcome(() => (ofBasalt(), unit))).split(":")[0],
  });
}
console.log(JSON.stringify(results));
