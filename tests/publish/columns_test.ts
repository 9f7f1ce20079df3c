/** Checks that lines of code, comments and pages end at 100 columns. */
import { assertEquals } from "@std/assert";
import { FILES } from "../permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const COLUMNS = 100;
/** Folders of dependencies and generated files. */
const LEFT_OUT =
  /^(\.git|target|node_modules|coverage|embedded|artifacts|corpus)$/;

/** Returns the lines of a file that are too long without the parts that cannot be broken. */
export function longLines(name: string, text: string): number[] {
  const isPage = name.endsWith(".md");
  const isScript = name.endsWith(".ts");
  let isTemplate = false;
  let isCode = false;
  const long: number[] = [];
  text.split("\n").forEach((line, i) => {
    if (isPage && line.trimStart().startsWith("```")) isCode = !isCode;
    const left = isTemplate
      ? ""
      : isPage
      ? withoutLinks(line, isCode)
      : withoutTexts(line);
    // A text of several lines is left as it is.
    if (isScript && line.split(/(?<!\\)`/).length % 2 === 0) {
      isTemplate = !isTemplate;
    }
    if (left.length > COLUMNS) long.push(i + 1);
  });
  return long;
}

/** Removes links. Code and the rows of tables are not broken, either. */
function withoutLinks(line: string, isCode: boolean): string {
  if (isCode || line.startsWith("|")) return "";
  return line.replaceAll(/\]\([^)]*\)|https?:\S+/g, "");
}

/** Removes strings, regular expressions and addresses. Rows of tables are not broken, either. */
function withoutTexts(line: string): string {
  if (/^\s*(\*|\/\/[/!]) \|/.test(line)) return "";
  const texts =
    /`[^`]*`?|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\/\^?(?:[^/\\]|\\.)*\/[a-z]*|https?:\S+/g;
  return [...line].length <= COLUMNS ? "" : line.replaceAll(texts, "");
}

Deno.test({
  name: "lines end at 100 columns in TypeScript, Rust and Markdown",
  ignore: !FILES,
  fn: () => {
    const found: string[] = [];
    const look = (dir: string): void => {
      for (const entry of Deno.readDirSync(`${ROOT}${dir}`)) {
        const path = `${dir}${entry.name}`;
        if (entry.isDirectory) {
          if (!LEFT_OUT.test(entry.name)) look(`${path}/`);
        } else if (/\.(ts|rs|md)$/.test(path)) {
          const text = Deno.readTextFileSync(`${ROOT}${path}`);
          for (const line of longLines(path, text)) {
            found.push(`${path}:${line}`);
          }
        }
      }
    };
    look("");
    assertEquals(found, []);
  },
});

Deno.test("longLines() finds comments and code, and skips texts that cannot be broken", () => {
  const words = "word ".repeat(30);
  assertEquals(longLines("a.ts", `// ${words}`), [1]);
  assertEquals(longLines("a.rs", `\n/// ${words}\n`), [2]);
  assertEquals(longLines("a.ts", `  fail("${words}");`), []);
  assertEquals(longLines("a.md", words), [1]);
  assertEquals(longLines("a.md", "```\n" + words + "\n```"), []);
});
