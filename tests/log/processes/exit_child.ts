/**
 * Appends to a log and ends without closing it. Prints `durable N` after the first messages, which
 * it made durable. Three more are in memory when it ends.
 *
 * Arguments: the directory, and how to end.
 */
import { Log } from "../../../lib/log/mod.ts";

const [dir, end] = Deno.args as [string, string];

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Appends two durable messages, then three that are never flushed. */
async function append(): Promise<Log> {
  const log = await Log.open(dir, { flushAfterMs: 60_000 });
  log.append("first");
  await log.appendDurable("second");
  for (const text of ["a", "b", "c"]) log.append(text);
  return log;
}

if (end === "worker" && self.name !== "writer") {
  const worker = new Worker(import.meta.url, {
    type: "module",
    name: "writer",
  });
  // The worker is terminated from outside while its log is open.
  await new Promise((resolve) => worker.onmessage = resolve);
  worker.terminate();
  say("terminated");
  await new Promise((resolve) => setTimeout(resolve, 100));
} else if (self.name === "writer") {
  await append();
  (self as unknown as { postMessage(message: string): void }).postMessage("");
  setInterval(() => {}, 1000);
} else {
  const log = await append();
  say(`durable ${log.durableOffset}`);
  switch (end) {
    case "exit":
      Deno.exit(3);
      break;
    case "error":
      throw new Error("uncaught");
    case "rejection":
      void Promise.reject(new Error("unhandled"));
      break;
    case "wait":
      setInterval(() => {}, 1000);
      break;
    case "full": {
      // From here on nothing more can be written.
      const { prototype } = Object.getPrototypeOf(log).constructor;
      prototype.flushSync = () => {
        throw new Error("no room");
      };
      break;
    }
    default:
      // The event loop is empty. The timer of `flushAfterMs` does not keep the program alive.
  }
}
