/**
 * Systems that refuse a ring or memory. A log that is written, rolled, closed, recovered and read
 * gives the same bytes, or an error says what was refused.
 */
import { assert, assertEquals } from "@std/assert";
import { REFUSE_RINGS } from "../../engine/_program.ts";
import { ALL } from "../../permissions.ts";
import { runScript } from "../../storage/_subprocess.ts";
import { MIB } from "../_support.ts";
import { TemporaryDirectory } from "../../storage/_tiers.ts";

interface Life {
  engine: string;
  errors: string[];
  acknowledged: number;
  /** The digest of each file. */
  found: Record<string, string>;
  inUseBytes: number;
}

/** Runs the child program in a process of its own. */
async function life(
  refused: "nothing" | "ring" | "memory",
  length: number,
): Promise<Life> {
  using directory = new TemporaryDirectory();
  const args = [directory.path, refused, String(length), REFUSE_RINGS];
  return await runScript(
    new URL("refused_child.ts", import.meta.url),
    ["-A"],
    args,
  ) as Life;
}

Deno.test({
  name: "Log has the same bytes where io_uring is refused",
  ignore: !ALL,
  async fn() {
    const allowed = await life("nothing", 30_000);
    const refused = await life("ring", 30_000);
    assertEquals(refused.engine, "threads");
    assertEquals(allowed.acknowledged, refused.acknowledged);
    assertEquals(refused.found, allowed.found);
    assertEquals([allowed.inUseBytes, refused.inUseBytes], [0, 0]);
    assert(Object.keys(refused.found).length >= 8, "several segments");
  },
});

Deno.test({
  name:
    "Log without memory (RLIMIT_AS) reports ENOMEM, loses nothing acknowledged, and continues when there is memory",
  ignore: !ALL,
  async fn() {
    const { errors, acknowledged, inUseBytes } = await life("memory", 45 * MIB);
    // Each fails by itself, because recovery and reading cannot have the memory that append took.
    assertEquals(errors, ["append", "recover", "read"]);
    assert(acknowledged > 0, "some were appended before");
    assertEquals(inUseBytes, 0);
  },
});
