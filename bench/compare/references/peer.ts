/**
 * Stores that are measured beside appenders. Each repeats its puts in this process or in a process
 * of its own.
 */
import type { Context } from "../context.ts";
import { repeated, type Repetition } from "../durable.ts";
import type { Measured } from "../measure.ts";
import { programArguments } from "../programs/run.ts";
import type { Introduction } from "../programs/store_child.ts";
import {
  LABELS,
  newStoreDirectory,
  type StoreName,
  tryStore,
} from "./store.ts";

/** A store that repeats puts. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  /** Repeats durable puts of payloads. */
  repeat(repetition: Repetition): Promise<Measured>;
}

/** Opens a store as a peer and notes its settings. A store that cannot be loaded is left out. */
export async function tryPeer(
  context: Context,
  name: StoreName,
): Promise<Peer | undefined> {
  if (name === "file" || name === "sqlite") {
    const store = await tryStore(context, name);
    return store === undefined ? undefined : {
      name: store.name,
      repeat(repetition) {
        const payload = new Uint8Array(repetition.bytes).fill(0x5a);
        return repeated(repetition, () => store.put(payload));
      },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  }
  const child = new ChildStore(context, name, newStoreDirectory(context, name));
  try {
    const { name, settings } = await child.next<Introduction>();
    context.note(`${name}, in a process of its own: ${settings}`);
    child.name = name;
    return child;
  } catch (error) {
    context.leaveOut(LABELS[name], (error as Error).message);
    return undefined;
  }
}

/**
 * A store in a process of its own.
 *
 * Packages with native libraries are loaded there without the lock file, because every command of
 * the checkout fetches the packages of the lock file.
 */
class ChildStore implements Peer {
  name = "";
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;
  #text = "";

  constructor(context: Context, name: StoreName, dir: string) {
    this.#child = context.spawn(Deno.execPath(), {
      args: programArguments("store_child.ts", [name, dir], ["--no-lock"]),
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    this.#errors = new Response(this.#child.stderr).text();
  }

  async repeat(repetition: Repetition): Promise<Measured> {
    const line = `${JSON.stringify(repetition)}\n`;
    await this.#input.write(new TextEncoder().encode(line));
    return await this.next<Measured>();
  }

  /** Reads the next line. @throws {Error} If the process ended, with its first error. */
  async next<Line>(): Promise<Line> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return JSON.parse(line) as Line;
      }
      const { value, done } = await this.#output.read();
      if (done) throw new Error(firstError(await this.#errors));
      this.#text += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#child.status;
    await this.#output.cancel();
  }
}

/** Returns the line of an error message, without the names of downloads before it. */
function firstError(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /error:/i.test(line)) ?? lines[0] ??
    "it ended without a message";
}
