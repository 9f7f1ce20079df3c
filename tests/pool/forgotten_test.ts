import { assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { CAN_COLLECT, CASES } from "./_forgotten_cases.ts";

let outcomes: Promise<Record<string, string | null>> | undefined;

for (const [name, run] of Object.entries(CASES)) {
  Deno.test({
    name,
    ignore: !CAN_COLLECT && !ALL,
    async fn() {
      if (CAN_COLLECT) await run();
      else assertEquals((await (outcomes ??= runAll()))[name], null);
    },
  });
}

/**
 * Runs the cases in a process of its own, because the collector can only be run on demand with a
 * flag.
 */
async function runAll(): Promise<Record<string, string | null>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-ffi",
      "--allow-env=BASALT_LIBRARY",
      "--no-prompt",
      "--v8-flags=--expose-gc",
      new URL("./forgotten_child.ts", import.meta.url).pathname,
    ],
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return JSON.parse(decoder.decode(stdout));
}
