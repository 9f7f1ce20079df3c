/**
 * What JSR scores of a package's documentation, and that whoever looks a name up finds how to use
 * it.
 */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { headingAnchors, ruleAnchors } from "./anchors.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

interface Documentation {
  doc?: string;
  tags?: { kind: string }[];
}

interface Module {
  module_doc?: Documentation;
  symbols: {
    name: string;
    declarations: {
      kind: string;
      jsDoc?: Documentation;
      def?: { extends?: string; properties?: { name: string }[] };
    }[];
  }[];
}

function hasExample({ doc = "", tags = [] }: Documentation): boolean {
  return doc.includes("```ts") || tags.some(({ kind }) => kind === "example");
}

Deno.test({
  name:
    "each entry point is described, each exported class and function has an example, and a sync version its async one's",
  ignore: !ALL,
  async fn() {
    const { exports, license } = JSON.parse(
      Deno.readTextFileSync(`${ROOT}deno.json`),
    );
    assertEquals(license, "Apache-2.0");
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--json", ...Object.values<string>(exports)],
      cwd: ROOT,
    }).output();
    assert(success);
    const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
    const modules = Object.values<Module>(nodes);
    assertEquals(modules.length, Object.keys(exports).length);
    const without: string[] = [];
    for (const { module_doc, symbols } of modules) {
      assert((module_doc?.doc ?? "") !== "");
      const documented = symbols.filter(({ declarations }) =>
        declarations.some(({ jsDoc }) => hasExample(jsDoc ?? {}))
      ).map(({ name }) => name);
      for (const { name, declarations } of symbols) {
        const used = declarations.some(({ kind }) =>
          kind === "class" || kind === "function"
        );
        const asynchronous = name.replace(/Sync$/, "");
        if (
          used && !documented.includes(name) &&
          !documented.includes(asynchronous)
        ) {
          without.push(name);
        }
      }
    }
    assertEquals(without, []);
  },
});

Deno.test({
  name: "docs/errors.md names each class of errors with all of its fields",
  ignore: !ALL,
  async fn() {
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--json", "mod.ts"],
      cwd: ROOT,
    }).output();
    assert(success);
    const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
    const [{ symbols }] = Object.values<Module>(nodes) as [Module];
    const fields: Record<string, string[]> = {};
    for (const { name, declarations } of symbols) {
      const { kind, def = {} } = declarations[0]!;
      const { extends: parent, properties = [] } = def;
      if (kind !== "class" || !parent?.endsWith("Error")) continue;
      // Every error has a name and may have a cause.
      fields[name] = properties.map((each) => each.name)
        .filter((each) => each !== "name" && each !== "cause").sort();
    }
    assert(Object.keys(fields).length >= 9);
    const text = Deno.readTextFileSync(`${ROOT}docs/errors.md`);
    const rows = text.matchAll(/^\| `(\w+)` +\|[^|]*\|([^|]*)\|/gm);
    const told = [...rows].map(([, name, cell]) => [
      name,
      [...cell!.matchAll(/`(\w+)`/g)].map(([, field]) => field!)
        .filter((each) => each !== "cause").sort(),
    ]);
    assertEquals(Object.fromEntries(told), fields);
  },
});

Deno.test({
  name: "the README begins with an example that runs",
  ignore: !ALL,
  fn: () => {
    const readme = Deno.readTextFileSync(`${ROOT}README.md`);
    assert(/^```ts\nimport \{.*\} from "@basalt\/io";/m.test(readme));
  },
});

Deno.test({
  name: "every link from page to page of the documentation leads somewhere",
  ignore: !ALL,
  fn: () => {
    const pages = ["README.md", "bench/README.md"];
    for (const { name } of Deno.readDirSync(`${ROOT}docs`)) {
      if (name.endsWith(".md")) pages.push(`docs/${name}`);
    }
    const dead: string[] = [];
    for (const page of pages) {
      const from = new URL(page, `file://${ROOT}`);
      const text = Deno.readTextFileSync(from);
      for (const [, link] of text.matchAll(/\]\(\s*([^)\s]+)\s*\)/g)) {
        const url = new URL(link!, from);
        if (url.protocol !== "file:") continue;
        try {
          const target = Deno.readTextFileSync(decodeURI(url.pathname));
          const anchor = url.hash.slice(1);
          const anchors = [...headingAnchors(target), ...ruleAnchors(target)];
          if (anchor === "" || anchors.includes(anchor)) continue;
        } catch { /* told below */ }
        dead.push(`${page}: ${link}`);
      }
    }
    assertEquals(dead, []);
  },
});
