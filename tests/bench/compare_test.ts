/** The comparison as a program: it removes all its files, whether it ends or is interrupted. */
import { assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

async function inDirectory(
  body: (dir: string) => Promise<void>,
): Promise<void> {
  // Beside the checkout instead of in /tmp, which is often memory.
  const dir = Deno.makeTempDirSync({ dir: ROOT, prefix: ".compare-test-" });
  try {
    await body(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function compare(...args: string[]): Deno.Command {
  const program =
    `const { main } = await import("${ROOT}bench/compare/main.ts"); Deno.exit(await main(Deno.args));`;
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program, ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  });
}

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name);
}

Deno.test({
  name: "deno task compare writes its reports and removes its files",
  ignore: !ALL,
  fn: () =>
    inDirectory(async (dir) => {
      const { code, stdout, stderr } = await compare(
        "--quick",
        "--scale",
        "0.01",
        "--only",
        "P9,W6,W11",
        "--json",
        `${dir}/report.json`,
        "--html",
        `${dir}/report.html`,
        dir,
      ).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      const { machine, rows } = JSON.parse(
        Deno.readTextFileSync(`${dir}/report.json`),
      );
      assertEquals(machine.cores, navigator.hardwareConcurrency);
      assertEquals(rows.map(({ id }: { id: string }) => id), [
        "P9.p50",
        "P9.p99",
        "W6.p99",
        "W6.cpu",
        "W11.append",
        "W11.strings",
        "W11.arrays",
      ]);
      for (const { median, min, max, met } of rows) {
        assertEquals(min > 0 && min <= median && median <= max, true);
        // A scaled run has no meaningful verdict.
        assertEquals(met, null);
      }
      const page = Deno.readTextFileSync(`${dir}/report.html`);
      assertEquals(page.match(/<svg /g)!.length >= 2, true);
      // Except for names of the SVG standard, nothing is loaded from elsewhere.
      assertEquals(/(src|href)="?http|@import|url\(http/.test(page), false);
      const table = new TextDecoder().decode(stdout);
      assertEquals(/^P9\.p50 .*≤ 1\.05/m.test(table), true, table);
      assertEquals(names(dir).sort(), ["report.html", "report.json"]);
    }),
});

Deno.test({
  name:
    "deno task compare removes its files when interrupted, and ends with exit code 130",
  ignore: !ALL,
  fn: () =>
    inDirectory(async (dir) => {
      const child = compare("--only", "P9", dir).spawn();
      const done = Promise.all([
        child.status,
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      // As soon as it has a directory of its own with something in it.
      let waitedMs = 0;
      while (!names(dir).some((name) => names(`${dir}/${name}`).length > 0)) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        waitedMs += 20;
        if (waitedMs > 60_000) throw new Error("The run made no files");
      }
      child.kill("SIGINT");
      const [{ code }] = await done;
      assertEquals(code, 130);
      assertEquals(names(dir), []);
    }),
});
