/** A segment that may not grow further (`RLIMIT_FSIZE`): docs/format.md#write-no-space. */
import { assertEquals } from "@std/assert";
import { ALL } from "../../permissions.ts";
import { runScript } from "../../storage/_subprocess.ts";
import { TemporaryDirectory } from "../../storage/_tiers.ts";

const MIB = 1024 * 1024;

async function outcome(engine: string, limitBytes: number): Promise<void> {
  using directory = new TemporaryDirectory();
  const args = [directory.path, String(limitBytes)];
  const prefix = ["env", `BASALT_ENGINE=${engine}`];
  let found: unknown;
  try {
    const script = new URL("file_limit_child.ts", import.meta.url);
    found = await runScript(script, ["-A"], args, prefix);
  } catch (error) {
    if (/io_uring is refused/.test(String(error))) return;
    throw error;
  }
  assertEquals(found, {
    code: "EFBIG",
    path: `${directory.path}/${"0".repeat(20)}.log`,
    isDurableRead: true,
    again: "EFBIG",
    waited: 1,
    isWhole: true,
  });
}

for (const engine of ["uring", "threads", "plain"]) {
  Deno.test(
    `Log keeps its messages at EFBIG, and continues when the limit is raised, ${engine}`,
    { ignore: !ALL },
    () => outcome(engine, 4 * MIB),
  );
  Deno.test(
    `Log keeps its messages at a limit within a sector, and continues when it is raised, ${engine}`,
    { ignore: !ALL },
    () => outcome(engine, 4 * MIB + 1000),
  );
}
