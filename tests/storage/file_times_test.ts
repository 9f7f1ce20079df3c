import { assertEquals } from "@std/assert";
import { hasProgram } from "../machine.ts";
import { runScript } from "./_subprocess.ts";
import { TemporaryDirectory } from "./_tiers.ts";

Deno.test(
  "DirectFile asks the kernel for times only when stat() is called, as that slows the next write",
  { ignore: !hasProgram("strace") },
  async () => {
    using dir = new TemporaryDirectory();
    const [path, trace] = [dir.file("x"), dir.file("trace")];
    const micros = await runScript(
      new URL("size_child.ts", import.meta.url),
      ["-A"],
      [path],
      ["strace", "-f", "-y", "-e", "trace=statx", "-o", trace],
    );
    // Deno's times are in milliseconds.
    assertEquals(
      Math.floor(micros as number / 1000),
      Deno.statSync(path).mtime!.getTime(),
    );
    const calls = Deno.readTextFileSync(trace).split("\n").filter((line) =>
      line.includes(`<${path}>`)
    );
    const withTimes = calls.filter((line) =>
      /STATX_(?:MTIME|CTIME|BASIC_STATS|ALL)/.test(line.split(", {")[0]!)
    );
    // Opening makes such calls as well.
    assertEquals([withTimes.length, calls.length > 15], [1, true]);
  },
);
