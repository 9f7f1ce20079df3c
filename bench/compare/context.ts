/**
 * The context of a comparison: a directory, prewritten files, child processes, progress, and their
 * removal.
 */
import { BufferPool, DirectFile } from "../../mod.ts";
import { Progress } from "../../lib/cli/_terminal.ts";
import type { CompareOptions } from "./options.ts";

const MIB = 1024 * 1024;
const PAIRS = 5;
const QUICK_PAIRS = 2;

/** A comparison that was left out, and why. */
export interface LeftOut {
  readonly what: string;
  readonly reason: string;
}

/** The environment of a run. */
export class Context {
  /** Directory of this run, on the disk that is measured. */
  readonly dir: string;
  /** How many times each side runs. */
  readonly pairs: number;
  readonly quick: boolean;
  readonly leftOut: LeftOut[] = [];
  /** Notes on the figures, such as settings of references and measured rates. */
  readonly notes: string[] = [];

  readonly #scale: number;
  readonly #progress = new Progress();
  readonly #children = new Set<Deno.ChildProcess>();
  readonly #files = new Map<string, string>();

  constructor(options: CompareOptions) {
    this.dir = Deno.makeTempDirSync({
      dir: options.directory,
      prefix: ".compare-",
    });
    this.quick = options.quick;
    this.pairs = options.quick ? QUICK_PAIRS : PAIRS;
    this.#scale = options.scale;
  }

  /** Returns how long one side runs, in milliseconds. */
  ms(full: number): number {
    return Math.max(50, full * this.#scale);
  }

  /** Returns a size in bytes, in whole MiB. */
  bytes(full: number): number {
    return Math.max(8, Math.round(full / MIB * this.#scale)) * MIB;
  }

  /** Returns a number of operations. */
  count(full: number): number {
    return Math.max(100, Math.round(full * this.#scale));
  }

  /** Shows what is being measured. */
  show(text: string): void {
    this.#progress.show(text);
  }

  /** Clears the progress line. */
  hide(): void {
    this.#progress.end();
  }

  /** Records a comparison that is left out, once. */
  leaveOut(what: string, reason: string): void {
    if (this.leftOut.some((each) => each.what === what)) return;
    this.leftOut.push({ what, reason });
  }

  /** Adds a note on the figures, once. */
  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }

  /** Returns an unused path in the directory. */
  path(name: string): string {
    return `${this.dir}/${name}`;
  }

  /**
   * Makes a file of random bytes that bypassed the page cache and was synced: all of its blocks are
   * on the disk, and none is in memory.
   * The same name gives the same file.
   */
  async file(name: string, fullBytes: number): Promise<string> {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const bytes = this.bytes(fullBytes);
    const path = this.path(name);
    using pool = new BufferPool();
    using block = pool.acquireSync(MIB);
    for (let at = 0; at < MIB; at += 65536) {
      crypto.getRandomValues(block.bytes.subarray(at, at + 65536));
    }
    {
      await using file = await DirectFile.open(path, {
        read: true,
        write: true,
        createNew: true,
      });
      for (let position = 0; position < bytes; position += MIB) {
        this.show(`writing ${name}: ${position / MIB} of ${bytes / MIB} MiB`);
        // Each block differs, so that no device can store one block for all.
        block.view.setUint32(0, position / MIB, true);
        await file.write(block, position);
      }
      await file.sync("full");
    }
    this.#files.set(name, path);
    return path;
  }

  /** Starts a program that ends with this one at the latest. */
  spawn(
    command: string,
    options: Omit<Deno.CommandOptions, "signal">,
  ): Deno.ChildProcess {
    const child = new Deno.Command(command, options).spawn();
    this.#children.add(child);
    child.status.then(() => this.#children.delete(child));
    return child;
  }

  /**
   * Runs a program to its end and returns its output. @throws {Error} If it fails, with its output.
   */
  async run(
    command: string,
    args: readonly string[],
    options: { env?: Record<string, string>; cwd?: string } = {},
  ): Promise<string> {
    const child = this.spawn(command, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      ...options,
    });
    const [{ success, code }, stdout, stderr] = await Promise.all([
      child.status,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if (success) return stdout;
    throw new Error(
      `${command} ${args.join(" ")} ended with ${code}: ${
        stderr.trim() || stdout.trim()
      }`,
    );
  }

  /** Ends the child processes and removes the directory. */
  clean(): void {
    this.hide();
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        // It ended in between.
        if (!(error instanceof TypeError)) throw error;
      }
    }
    Deno.removeSync(this.dir, { recursive: true });
  }
}
