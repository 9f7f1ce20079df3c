/** `basalt export` and `basalt import`, killed at random moments. */
import { assertEquals } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { ALL } from "../permissions.ts";

const KILLS = 8;
const PROGRAM = new URL("../../lib/cli/mod.ts", import.meta.url).pathname;

/** Starts a command, and kills it after a time unless it has ended. */
async function basalt(args: string[], killAfterMs?: number): Promise<boolean> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--allow-all", PROGRAM, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const kill = (): void => {
    try {
      process.kill("SIGKILL");
    } catch {
      // It has ended, but its status has not arrived yet.
    }
  };
  const timer = killAfterMs === undefined
    ? undefined
    : setTimeout(kill, killAfterMs);
  const { success } = await process.status;
  clearTimeout(timer);
  return success;
}

/** Returns the segment files that have their final names, with their bytes. */
function segmentsIn(dir: string): Map<string, Uint8Array> {
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name)
    .filter((name) => /^\d{20}\.(log|index)$/.test(name)).sort();
  return new Map(
    names.map((name) => [name, Deno.readFileSync(`${dir}/${name}`)]),
  );
}

/**
 * Kills copies to `to` at random moments. Every file with its final name must be as in a complete
 * copy.
 */
async function killCopies(
  argsFor: (to: string) => string[],
  dir: string,
): Promise<void> {
  const whole = `${dir}/whole`;
  Deno.mkdirSync(whole);
  const startMs = performance.now();
  assertEquals(await basalt(argsFor(whole)), true);
  const takesMs = performance.now() - startMs;
  const expected = segmentsIn(whole);
  const to = `${dir}/killed`;
  Deno.mkdirSync(to);
  for (let kill = 0; kill < KILLS; kill++) {
    await basalt(argsFor(to), takesMs * (0.3 + 0.7 * Math.random()));
    for (const [name, bytes] of segmentsIn(to)) {
      assertEquals(bytes, expected.get(name), `${name} after kill ${kill}`);
    }
  }
  assertEquals(await basalt(argsFor(to)), true);
  assertEquals(segmentsIn(to), expected);
  Deno.removeSync(whole, { recursive: true });
  Deno.removeSync(to, { recursive: true });
}

Deno.test(
  "basalt export and basalt import leave whole files when they are killed, and complete when they run again",
  {
    ignore: !ALL,
  },
  async () => {
    const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
    try {
      const log = `${dir}/log`;
      {
        await using made = await Log.open(log, { segmentBytes: 16 << 20 });
        for (let i = 0; i < 48; i++) {
          made.appendBatch([
            crypto.getRandomValues(new Uint8Array(65536)),
            new Uint8Array(1 << 20),
          ]);
          await made.flush();
        }
      }
      await killCopies((to) => ["export", log, "--to", to], dir);
      const partition = `${dir}/partition`;
      Deno.mkdirSync(partition);
      assertEquals(await basalt(["export", log, "--to", partition]), true);
      await killCopies((to) => ["import", to, "--from", partition], dir);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
