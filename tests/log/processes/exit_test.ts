/** What happens to a log that the program does not close: lib/log/_open_logs.ts. */
import { assert, assertEquals } from "@std/assert";
import { Log } from "@basalt/io";
import { ALL } from "../../permissions.ts";
import { drain } from "../_support.ts";

/** How a program ends, and what its log holds then. Two messages were durable, three in memory. */
const ENDS: {
  end: string;
  signal?: Deno.Signal;
  code: number;
  kept: number;
}[] = [
  { end: "empty event loop", code: 0, kept: 5 },
  { end: "exit", code: 3, kept: 5 },
  { end: "error", code: 1, kept: 2 },
  { end: "rejection", code: 1, kept: 2 },
  { end: "wait", signal: "SIGTERM", code: 143, kept: 2 },
  { end: "wait", signal: "SIGINT", code: 130, kept: 2 },
  { end: "wait", signal: "SIGKILL", code: 137, kept: 2 },
  { end: "worker", code: 0, kept: 2 },
  { end: "full", code: 0, kept: 2 },
];

for (const { end, signal, code, kept } of ENDS) {
  Deno.test({
    name: `Log that was not closed, after ${signal ?? end}: ${
      kept === 5 ? "everything is written" : "what was not flushed is lost"
    }`,
    ignore: !ALL,
    fn: async () => {
      const dir = Deno.makeTempDirSync({ prefix: "basalt_exit_" });
      try {
        const script = new URL("exit_child.ts", import.meta.url);
        const child = new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "--no-prompt", "--quiet", "--no-lock", "--no-check"],
            ...["-A", script.pathname, dir, end],
          ],
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const stderr = new Response(child.stderr).text();
        for await (
          const text of child.stdout.pipeThrough(new TextDecoderStream())
        ) {
          if (signal !== undefined && text.includes("durable 2")) {
            child.kill(signal);
          }
        }
        const status = await child.status;
        const errors = await stderr;
        assertEquals(status.code, code, errors);
        await using log = await Log.open(dir);
        const found = (await drain(log)).map(({ payload }) =>
          new TextDecoder().decode(payload)
        );
        assertEquals(found, ["first", "second", "a", "b", "c"].slice(0, kept));
        // The log was not closed in any case, so the next writer recovers it. It cuts nothing that
        // was durable.
        const { recovered, kept: cut } = log.stats().opening;
        assertEquals([recovered.length, cut.length], [1, 0]);
        if (end === "full") {
          assert(errors.includes("3 messages are lost: Error: no room"));
          assert(errors.includes(dir));
        }
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    },
  });
}
