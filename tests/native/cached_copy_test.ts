import { assert, assertEquals, assertThrows } from "@std/assert";
import { cachedCopy } from "../../lib/native/_cached_copy.ts";
import type { EmbeddedLibrary } from "../../lib/native/_embedded.ts";
import { embeddedLibrary } from "../../tools/embed.ts";
import { ALL } from "../permissions.ts";
import { Scratch } from "./_support.ts";

const BYTES = new Uint8Array(10_000).map((_, i) => i * i);
const LIBRARY = embeddedLibrary(BYTES);

function test(name: string, fn: (directory: string) => void): void {
  Deno.test({
    name: `cachedCopy ${name}`,
    ignore: !ALL,
    fn: () => {
      using scratch = new Scratch();
      fn(`${scratch.path}/cache/basalt`);
    },
  });
}

/** Returns the names in the directory. */
function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name);
}

test("writes the library once, for its user only, with its hash as the name", (directory) => {
  const path = cachedCopy(LIBRARY, directory);
  assertEquals(path, `${directory}/libbasalt-${LIBRARY.sha256}.so`);
  assertEquals(Deno.readFileSync(path), BYTES);
  assertEquals(Deno.statSync(directory).mode! & 0o777, 0o700);
  assertEquals(Deno.statSync(path).mode! & 0o077, 0);
  const { ino } = Deno.statSync(path);
  assertEquals(cachedCopy(LIBRARY, directory), path);
  assertEquals(Deno.statSync(path).ino, ino);
  assertEquals(names(directory).length, 1);
});

test("replaces a file with other contents, and leaves the old file to programs that use it", (directory) => {
  const path = cachedCopy(LIBRARY, directory);
  const flipped = BYTES.slice();
  flipped[9_999]! ^= 1;
  const others: [string, () => void][] = [
    ["one bit", () => Deno.writeFileSync(path, flipped)],
    ["cut", () => Deno.truncateSync(path, 9_999)],
    ["empty", () => Deno.truncateSync(path, 0)],
    ["a link", () => {
      Deno.renameSync(path, `${directory}/moved`);
      Deno.symlinkSync(`${directory}/moved`, path);
    }],
    ["writable by others", () => Deno.chmodSync(path, 0o722)],
  ];
  for (const [what, change] of others) {
    change();
    using old = Deno.openSync(path);
    const { ino, size } = old.statSync();
    assertEquals(cachedCopy(LIBRARY, directory), path);
    const found = Deno.lstatSync(path);
    assert(found.isFile && found.ino !== ino, what);
    assertEquals(Deno.readFileSync(path), BYTES, what);
    assertEquals(old.statSync().size, size, what);
  }
});

test("writes nothing into a directory that others can open, that belongs to another user, or that is a link", (directory) => {
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const mode of [0o755, 0o701, 0o770]) {
    Deno.chmodSync(directory, mode);
    assertThrows(
      () => cachedCopy(LIBRARY, directory),
      Error,
      `0${mode.toString(8)}`,
    );
  }
  Deno.chmodSync(directory, 0o700);
  Deno.symlinkSync(directory, `${directory}-link`);
  assertThrows(
    () => cachedCopy(LIBRARY, `${directory}-link`),
    Error,
    "no directory",
  );
  if (Deno.uid() === 0) {
    Deno.chownSync(directory, 65534, 65534);
    assertThrows(
      () => cachedCopy(LIBRARY, directory),
      Error,
      "belongs to user 65534",
    );
  }
  assertEquals(names(directory), []);
});

test("leaves no file when it fails", (directory) => {
  const damaged: EmbeddedLibrary[] = [
    { ...LIBRARY, sha256: "0".repeat(64) },
    { ...LIBRARY, bytes: 9_999 },
    { ...LIBRARY, gzip: LIBRARY.gzip.slice(0, -40) },
  ];
  for (const library of damaged) {
    assertThrows(() => cachedCopy(library, directory), Error);
    assertEquals(names(directory), []);
  }
  const path = `${directory}/libbasalt-${LIBRARY.sha256}.so`;
  Deno.mkdirSync(`${path}/in the way`, { recursive: true });
  assertThrows(() => cachedCopy(LIBRARY, directory), Error);
  assertEquals(names(directory), [`libbasalt-${LIBRARY.sha256}.so`]);
});

Deno.test({
  name: "cachedCopy: processes that start together leave one whole file",
  ignore: !ALL,
  async fn() {
    using scratch = new Scratch();
    const directory = `${scratch.path}/basalt`;
    const root = new URL("../../", import.meta.url).href;
    const source = `
      import { cachedCopy } from "${root}lib/native/_cached_copy.ts";
      const [library, directory] = Deno.args;
      for (let i = 0; i < 50; i++) {
        const path = cachedCopy(JSON.parse(library), directory);
        const bytes = Deno.readFileSync(path);
        if (bytes.length !== ${BYTES.length}) throw new Error(String(bytes.length));
        if (i % 5 === 0) Deno.removeSync(path);
      }
    `.replace("Deno.removeSync(path)", "try { Deno.removeSync(path) } catch {}")
      .replace("Deno.readFileSync(path)", "read(path)") +
      `function read(path) { try { return Deno.readFileSync(path) } catch (error) {
        if (error.code !== "ENOENT") throw error;
        return new Uint8Array(${BYTES.length});
      } }`;
    const script = `${scratch.path}/script.ts`;
    Deno.writeTextFileSync(script, source);
    const runs = Array.from(
      { length: 4 },
      () =>
        new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "--allow-all",
            "--no-check",
            "--no-lock",
            script,
            JSON.stringify(LIBRARY),
            directory,
          ],
          stderr: "piped",
        }).output(),
    );
    for (const { success, stderr } of await Promise.all(runs)) {
      assert(success, new TextDecoder().decode(stderr));
    }
    cachedCopy(LIBRARY, directory);
    assertEquals(names(directory).length, 1);
  },
});
