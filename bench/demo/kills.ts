/** Kills writers while they append, and checks what their logs hold afterwards. */
import { Log } from "../../lib/log/mod.ts";
import type { BufferPool } from "../../lib/pool/mod.ts";
import type { Stage } from "./stage.ts";
import { payloadAt } from "./writer_child.ts";

/** How long a writer appends before it is killed, in milliseconds: minimum and maximum. */
const LIFE_MS = [100, 400] as const;

/** The log after a writer was killed. */
export interface Kill {
  /** Messages that it had acknowledged, counted over all writers so far. */
  acknowledged: number;
  /** Messages that the log has. */
  found: number;
  /** Acknowledged messages that are missing or different. */
  lost: number;
}

/** Starts writers of one log, one after the other, and kills each. */
export async function* kills(
  stage: Stage,
  pool: BufferPool,
  count: number,
): AsyncGenerator<Kill> {
  using dir = stage.directory();
  for (let i = 1; i <= count; i++) {
    stage.show(`writer ${i} of ${count}`);
    const acknowledged = await writeAndKill(stage, dir.path);
    yield await look(dir.path, pool, acknowledged);
  }
}

/** Runs a writer for a while. Returns the offset below which it had acknowledged all messages. */
async function writeAndKill(stage: Stage, dir: string): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all",
      new URL("writer_child.ts", import.meta.url).href,
      dir,
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  stage.child = child;
  const [shortest, longest] = LIFE_MS;
  const lifeMs = shortest + Math.random() * (longest - shortest);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let text = "";
  try {
    for await (
      const part of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      timer ??= setTimeout(() => child.kill("SIGKILL"), lifeMs);
      // The last line may have been cut off by the end of the process.
      text = (text + part).slice(-100);
    }
  } finally {
    clearTimeout(timer);
    if (timer === undefined) child.kill("SIGKILL");
  }
  const { signal } = await child.status;
  stage.child = undefined;
  if (signal !== "SIGKILL") {
    throw new Error("The writer was not killed, but ended");
  }
  return Number(text.split("\n").at(-2));
}

/** Opens the log, which recovers it, and compares every message. */
async function look(
  dir: string,
  pool: BufferPool,
  acknowledged: number,
): Promise<Kill> {
  await using log = await Log.open(dir, { pool, lockTimeoutMs: 5000 });
  let found = 0;
  let right = 0;
  for await (const message of log.messages()) {
    found++;
    const { offset } = message;
    if (offset < acknowledged && message.text() === payloadAt(offset)) right++;
  }
  return { acknowledged, found, lost: acknowledged - right };
}
