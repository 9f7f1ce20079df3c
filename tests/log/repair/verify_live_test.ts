/** Verifying and inspecting a log while another process writes it. */
import { assert, assertEquals } from "@std/assert";
import {
  inspectLog,
  verifyLog,
  verifyLogSync,
  type VerifyProgress,
} from "../../../lib/log/mod.ts";
import { ALL } from "../../permissions.ts";
import { at, DiskPlace, KIB } from "../_support.ts";

/** How long the writer is watched, in milliseconds. */
const WATCH_MS = 3000;

for (const direct of ["prefer", "never"] as const) {
  Deno.test(
    `verifyLog() finds no fault at any moment of a log that a process writes, rolls and prepares (${direct})`,
    { ignore: !ALL },
    () =>
      at(new DiskPlace(direct), async ({ dir, storage, pool }) => {
        const script = new URL("../processes/writer_child.ts", import.meta.url);
        await using child = new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "--no-prompt",
            "--quiet",
            "--no-lock",
            "--no-check",
            "-A",
            script.pathname,
            dir,
            "write",
            direct,
            String(100 * KIB),
          ],
          stdin: "piped",
          stdout: "piped",
        }).spawn();
        const output = child.stdout.getReader();
        await output.read();
        const draining = (async () => {
          while (!(await output.read()).done);
        })();
        const until = performance.now() + WATCH_MS;
        let verified = 0;
        let messages = 0;
        while (performance.now() < until) {
          let last: VerifyProgress | undefined;
          const options = {
            storage,
            pool,
            onProgress: (progress: VerifyProgress) => last = { ...progress },
          };
          const faults = verified++ % 2 === 0
            ? await Array.fromAsync(verifyLog(dir, options))
            : [...verifyLogSync(dir, options)];
          assertEquals(faults, []);
          assert(
            last!.messages >= messages,
            "messages that were seen are gone",
          );
          messages = last!.messages;
          const { locked, nextOffset } = await inspectLog(dir, {
            storage,
            pool,
          });
          assert(locked);
          assert(nextOffset >= 0);
        }
        await child.stdin.close();
        await draining;
        assertEquals((await child.status).code, 0);
        assertEquals([...verifyLogSync(dir, { storage, pool })], []);
        console.log(`verified ${verified} times, ${messages} messages`);
      }),
  );
}
