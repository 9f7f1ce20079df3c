/** Consumers are killed while they commit, on a real disk, beside a writer with retention. */
import { assert, assertEquals } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { ALL } from "../permissions.ts";

const KILLS = 15;
const CHILD = new URL("cursor_consumer_child.ts", import.meta.url).pathname;

interface Life {
  /** The position that it found. */
  opened: number | undefined;
  /** The messages that it received, in order. */
  given: [from: number, to: number][];
  /** The last commit that was acknowledged. */
  done: number;
}

/** Runs a consumer until it has handled a few batches, and kills it in the middle of one. */
async function live(dir: string, batches: number): Promise<Life> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, dir],
    stdout: "piped",
  }).spawn();
  const life: Life = { opened: undefined, given: [], done: 0 };
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [what, a, b] = line.split(" ");
      if (what === "open") life.opened = Number(a);
      if (what === "give") life.given.push([Number(a), Number(b)]);
      if (what === "done") life.done = Number(a);
    }
    if (life.given.length >= batches) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has already ended.
      }
    }
  }
  await child.status;
  return life;
}

Deno.test({
  name: "Cursor of a killed consumer loses no commit and no message",
  ignore: !ALL,
  async fn() {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_cursor_kill_" });
    try {
      await using log = await Log.open(dir, {
        segmentBytes: 64 * 1024,
        retain: { bytes: 128 * 1024 },
      });
      await using victim = await log.cursor("victim");
      await victim.close();
      let isOver = false;
      const writing = (async () => {
        while (!isOver) {
          await log.appendDurable(new Uint8Array(500));
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      })();
      let committed = 0;
      let seen = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        const { opened, given, done } = await live(dir, 1 + kill % 7);
        assert(opened !== undefined, "it did not open");
        // Every acknowledged commit is there, and no position that was not reached.
        assert(opened! >= committed, `at ${opened}, ${committed} committed`);
        assert(opened! <= seen, `at ${opened}, ${seen} seen`);
        let next = opened!;
        for (const [from, to] of given) {
          assertEquals(from, next, "a message was skipped");
          next = to;
        }
        committed = Math.max(committed, done, opened!);
        seen = Math.max(seen, next);
        // Retention never passes the cursor.
        assert(log.firstOffset <= committed);
        await log.retain();
        assert(log.firstOffset <= committed);
      }
      isOver = true;
      await writing;
      assert(seen > KILLS, `${seen} messages`);
      assertEquals(log.stats().retention.failures, 0);
      assertEquals(log.stats().retention.passedCursors, 0);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
});
