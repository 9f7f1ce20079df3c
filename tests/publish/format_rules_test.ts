/** Citations of the rules in `docs/format.md` lead to a rule, and every rule is cited or listed. */
import { assert, assertEquals } from "@std/assert";
import { FILES } from "../permissions.ts";
import { headingAnchors, ruleAnchors } from "./_anchors.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PAGE = "docs/format.md";

/** Files and directories that may cite a rule. */
const CITING = ["lib", "rust/src", "tests", "bench", "docs", "README.md"];
/** Those whose citations count, because they check a rule or implement it. */
const COUNTING = /^(?:lib|rust\/src|tests)\//;
/** Build output and generated sources. */
const SKIPPED = /(?:^|\/)(?:target|embedded|node_modules)$/;

/** Rules that no test and no source cites yet. A rule that is cited must leave this list. */
const NOT_CITED_YET: readonly string[] = [
  "segment-name",
  "segment-follow",
  "temporary-name",
  "cut-name",
  "producer",
  "base-timestamp",
  "frame-offset",
  "frame-time",
  "frame-id",
  "batch-refused",
  "checksum-both",
  "valid-1",
  "valid-2",
  "valid-3",
  "valid-4",
  "valid-5",
  "valid-6",
  "headers-layout",
  "headers-kinds",
  "headers-duplicate",
  "headers-order",
  "index-beyond-end",
  "meta-slots",
  "owner-size",
  "write-give-back",
  "write-create-fails",
  "open-segment-writer",
  "assume-sync",
  "assume-names",
  "assume-memory",
];

interface CitingFile {
  readonly path: string;
  readonly text: string;
}

interface Findings {
  /** Citations without a target, as `path: anchor`. */
  readonly broken: string[];
  /** Anchors that occur more than once. */
  readonly duplicate: string[];
  /** Rules that no counting file cites, and that are not listed. */
  readonly uncited: string[];
  /** Listed rules that are cited now, or that do not exist. */
  readonly outdated: string[];
}

/** Compares the rules of a page with the citations in files. */
function checkCitations(
  page: string,
  files: readonly CitingFile[],
  notCitedYet: readonly string[],
): Findings {
  const rules = ruleAnchors(page);
  const all = [...rules, ...headingAnchors(page)];
  const known = new Set(all);
  const cited = new Set<string>();
  const broken: string[] = [];
  for (const { path, text } of files) {
    // Within the page itself, a citation has only the anchor.
    const pattern = path === PAGE
      ? /\]\(#([\w-]+)\)/g
      : /\bformat\.md#([\w-]+)/g;
    for (const [, anchor] of text.matchAll(pattern)) {
      if (!known.has(anchor!)) broken.push(`${path}: ${anchor}`);
      else if (COUNTING.test(path)) cited.add(anchor!);
    }
  }
  return {
    broken,
    duplicate: all.filter((anchor, i) => all.indexOf(anchor) !== i),
    uncited: rules.filter((rule) =>
      !cited.has(rule) && !notCitedYet.includes(rule)
    ),
    outdated: notCitedYet.filter((rule) =>
      cited.has(rule) || !rules.includes(rule)
    ),
  };
}

/** Reads every text file at or below a path. */
function* citingFiles(path: string): Generator<CitingFile> {
  if (SKIPPED.test(path)) return;
  if (Deno.statSync(ROOT + path).isFile) {
    if (!/\.(?:md|ts|rs)$/.test(path)) return;
    yield { path, text: Deno.readTextFileSync(ROOT + path) };
    return;
  }
  for (const { name, isSymlink } of Deno.readDirSync(ROOT + path)) {
    if (!isSymlink) yield* citingFiles(`${path}/${name}`);
  }
}

Deno.test({
  name: "docs/format.md: citations lead to rules, and every rule is cited",
  ignore: !FILES,
  fn: () => {
    const page = Deno.readTextFileSync(ROOT + PAGE);
    const files = CITING.flatMap((path) => [...citingFiles(path)]);
    assert(files.length > 300, `${files.length} files`);
    assert(ruleAnchors(page).length > 80);
    assertEquals(checkCitations(page, files, NOT_CITED_YET), {
      broken: [],
      duplicate: [],
      uncited: [],
      outdated: [],
    });
  },
});

const SMALL_PAGE = [
  "# A page",
  '- <a id="one"></a>The first rule. See [below](#a-heading).',
  '- <a id="two"></a>The second rule.',
  "## A heading",
].join("\n");

/** Returns a file that cites one anchor. */
function citing(path: string, anchor: string): CitingFile {
  return { path, text: `/** docs/format.md#${anchor} */` };
}

const GOOD = [citing("tests/a_test.ts", "one"), citing("rust/src/a.rs", "two")];
const NOTHING: Findings = {
  broken: [],
  duplicate: [],
  uncited: [],
  outdated: [],
};

Deno.test("checkCitations() finds nothing where every rule is cited", () => {
  const page = { path: PAGE, text: SMALL_PAGE };
  assertEquals(checkCitations(SMALL_PAGE, [page, ...GOOD], []), NOTHING);
});

Deno.test("checkCitations() names a citation without a rule, with its file", () => {
  for (
    const path of ["lib/a.ts", "rust/src/a.rs", "tests/a.ts", "docs/a.md"]
  ) {
    const files = [...GOOD, citing(path, "three"), citing(path, "on")];
    const { broken } = checkCitations(SMALL_PAGE, files, []);
    assertEquals(broken, [`${path}: three`, `${path}: on`]);
  }
  const link = { path: PAGE, text: `${SMALL_PAGE}\n[x](#${"three"})` };
  const { broken } = checkCitations(SMALL_PAGE, [...GOOD, link], []);
  assertEquals(broken, [`${PAGE}: three`]);
});

Deno.test("checkCitations() names an anchor that occurs twice", () => {
  for (const again of ['<a id="one"></a>', '<a id="a-heading"></a>']) {
    const { duplicate } = checkCitations(`${SMALL_PAGE}\n${again}`, GOOD, [
      "a-heading",
    ]);
    assertEquals(duplicate.length, 1, again);
  }
});

Deno.test("checkCitations() requires each rule to be cited by a test or source, or listed", () => {
  const one = GOOD.slice(0, 1);
  const page = citing("docs/a.md", "two");
  const found = checkCitations(SMALL_PAGE, [...one, page], []);
  assertEquals(found, { ...NOTHING, uncited: ["two"] });
  assertEquals(checkCitations(SMALL_PAGE, one, ["two"]), NOTHING);
});

Deno.test("checkCitations() requires a listed rule to exist and to be uncited", () => {
  const { outdated } = checkCitations(SMALL_PAGE, GOOD, ["two", "gone"]);
  assertEquals(outdated, ["two", "gone"]);
});
