/** What a user can do after damage. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Console } from "../../lib/cli/_console.ts";
import { COMMANDS } from "../../lib/cli/_run.ts";
import { Log } from "../../lib/log/mod.ts";
import { FILES } from "../permissions.ts";
import { batchesOf, segment } from "../log/_support.ts";
import { basalt, Directory } from "./_support.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Flips a bit in the payload of the batch with this number. */
function damage(path: string, number: number): void {
  const bytes = Deno.readFileSync(path);
  bytes[batchesOf(bytes)[number]!.end - 1]! ^= 1;
  Deno.writeFileSync(path, bytes);
}

Deno.test(
  "basalt read --skip-damaged continues after damage and reports what it skipped; read prints a .cut file",
  { ignore: !FILES },
  async () => {
    using dir = new Directory();
    const path = dir.file("log");
    const lines = ["one\n", "two\n", "three\n", "four\n"];
    {
      await using log = await Log.open(path, { prepareBytes: 0 });
      for (const line of lines) await log.appendDurable(line);
    }
    const whole = await basalt(["read", path, "--raw", "--skip-damaged"]);
    assertEquals([whole.code, whole.out, whole.errors], [
      0,
      lines.join(""),
      "",
    ]);

    const file = `${path}/${segment(0)}.log`;
    damage(file, 1);
    const plain = await basalt(["read", path, "--raw"]);
    assertEquals([plain.code, plain.out], [1, "one\n"]);
    for (const advice of ["basalt verify", "basalt repair", "--skip-damaged"]) {
      assertStringIncludes(plain.errors, advice);
    }
    const skipping = await basalt(["read", path, "--raw", "--skip-damaged"]);
    assertEquals([skipping.code, skipping.out], [1, "one\nthree\nfour\n"]);
    const first = 256 + 48 + 4;
    assertEquals(
      skipping.errors,
      `skipped ${file}: byte ${first} and ${first} bytes from there: ` +
        "the checksum of a message does not match; message 1 is left out\n",
    );
    const json = await basalt(["read", path, "--json", "--skip-damaged"]);
    assertEquals(
      json.out.trim().split("\n").map((line) => JSON.parse(line).offset),
      [0, 2, 3],
    );

    assertEquals((await basalt(["repair", path, "--yes"])).code, 0);
    assertEquals((await basalt(["read", path, "--raw"])).out, "one\n");
    const cut = [...Deno.readDirSync(path)].find(({ name }) =>
      name.endsWith(".cut") && !name.includes("index")
    )!;
    const kept = await basalt(["read", `${path}/${cut.name}`, "--raw"]);
    assertEquals([kept.code, kept.out], [1, "three\nfour\n"]);
    assertStringIncludes(
      kept.errors,
      `skipped ${path}/${cut.name}: byte 0 and`,
    );
    const { code, errors } = await basalt(["read", dir.file("gone.cut")]);
    assertEquals(code, 1);
    assertStringIncludes(errors, "ENOENT");
  },
);

Deno.test(
  "basalt has each command and option that a message, a help text or a page names",
  { ignore: !FILES },
  () => {
    const console = new Console({
      input: { read: () => Promise.resolve(null) },
      output: { writeSync: (bytes) => bytes.length },
      errors: { writeSync: (bytes) => bytes.length },
      interactive: false,
    });
    const commands = new Map(
      COMMANDS.map((make) => make(console)).map((made) => [
        made.name(),
        ["--help", ...made.options.map(({ long }) => long)],
      ]),
    );
    const pages = ["README.md"];
    const visit = (directory: string): void => {
      for (const { name, isDirectory } of Deno.readDirSync(ROOT + directory)) {
        const path = `${directory}/${name}`;
        if (isDirectory) visit(path);
        else if (/\.(ts|md)$/.test(name)) pages.push(path);
      }
    };
    for (const directory of ["lib/cli", "lib/log", "lib/iggy", "docs"]) {
      visit(directory);
    }
    let looked = 0;
    for (const path of pages) {
      const text = Deno.readTextFileSync(ROOT + path);
      for (
        const [line, name] of text.matchAll(/\bbasalt ([a-z]+)\b[^`"\n]*/g)
      ) {
        const options = commands.get(name!) ?? [];
        assert(options.length > 0, `${path}: ${line}`);
        looked++;
        for (const [option] of line.matchAll(/(?<= )--[a-z-]+/g)) {
          // An option of another program, after a pipe.
          if (line.slice(0, line.indexOf(option)).includes("|")) continue;
          assert(options.includes(option), `${path}: ${line}: ${option}`);
        }
      }
    }
    assert(looked > 20, String(looked));
  },
);
