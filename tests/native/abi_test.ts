import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { native, STATUS } from "../../lib/native/mod.ts";
import { abiNumber, SYMBOLS } from "../../lib/native/symbols.ts";
import { VERSION } from "../../lib/native/version.ts";
import { glibcOf } from "../../tools/embed.ts";
import { ALL } from "../permissions.ts";
import { LIBRARY, ROOT } from "./_support.ts";

type Symbols = Record<string, { parameters: readonly unknown[] }>;

Deno.test("the ABI number changes with the version, each status code, each name, and the number, types and order of parameters", () => {
  const number = abiNumber();
  assertEquals(native().basalt_abi(), number);
  const others: number[] = [abiNumber("0.1.1")];
  for (const [name, code] of Object.entries(STATUS)) {
    others.push(abiNumber(VERSION, { ...STATUS, [name]: code - 100 }));
  }
  const changed = (name: string, parameters: unknown[] | undefined) => {
    const symbols: Symbols = { ...SYMBOLS };
    if (parameters === undefined) delete symbols[name];
    else symbols[name] = { parameters };
    others.push(abiNumber(VERSION, STATUS, symbols));
  };
  for (const [name, { parameters }] of Object.entries(SYMBOLS as Symbols)) {
    changed(name, undefined);
    changed(name, [...parameters, "u32"]);
    parameters.forEach((kind, i) => {
      changed(name, parameters.with(i, kind === "u32" ? "f64" : "u32"));
    });
  }
  for (const other of others) assertNotEquals(other, number);
  assertEquals(new Set(others).size, others.length);
});

Deno.test({
  name: "package, crate and library have one version",
  ignore: !ALL,
  fn: () => {
    const { version } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
    const manifest = Deno.readTextFileSync(`${ROOT}rust/Cargo.toml`);
    const [, crate] = /^version = "(.+)"$/m.exec(manifest)!;
    assertEquals([version, crate], [VERSION, VERSION]);
  },
});

Deno.test({
  name: "a plain build needs no glibc after 2.34",
  ignore: !ALL,
  fn: () => {
    const [major, minor] = glibcOf(Deno.readFileSync(LIBRARY));
    assert(major === 2 && minor >= 17 && minor <= 34, `${major}.${minor}`);
  },
});
