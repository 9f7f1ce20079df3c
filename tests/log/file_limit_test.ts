/** A segment that may not grow further (`RLIMIT_FSIZE`): docs/format.md#write-no-space. */
import { assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { runScript } from "../storage/subprocess.ts";
import { TemporaryDirectory } from "../storage/tiers.ts";

const MIB = 1024 * 1024;

for (const engine of ["uring", "threads", "plain"]) {
  Deno.test(
    `Log keeps its messages at EFBIG, and goes on when the limit is raised, ${engine}`,
    {
      ignore: !ALL,
    },
    async () => {
      using directory = new TemporaryDirectory();
      const args = [directory.path, String(4 * MIB)];
      const prefix = ["env", `BASALT_ENGINE=${engine}`];
      let found: unknown;
      try {
        found = await runScript(
          "../log/file_limit_child.ts",
          ["-A"],
          args,
          prefix,
        );
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
    },
  );
}
