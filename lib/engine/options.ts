import { checkChoice } from "../base/mod.ts";
import { environment } from "../native/mod.ts";

/**
 * How operations run: by a ring shared with the kernel (io_uring), by threads of the library, or on
 * the program's thread.
 */
export type EngineKind = "uring" | "threads" | "plain";

/** What may be asked for. */
const CHOICES = ["auto", "uring", "threads", "plain"];

/** How asynchronous operations are run. */
export interface EngineOptions {
  /**
   * The engine. `"auto"` is `"uring"` where the system allows it, else `"threads"`. If a named
   * engine is not available, the first use throws.
   *
   * `"plain"` runs each operation on the program's thread at the end of the event loop's turn.
   *
   * @default {the variable BASALT_ENGINE, if reading it is permitted; else "auto"}
   */
  kind?: EngineKind | "auto";
  /**
   * How the program's thread learns of completions. `"bounded"`: it waits for them in the kernel
   * while the program has no other work, and otherwise at most 100 us at a time or not at all.
   * `"reaper"`: it never waits. A thread of the runtime waits and wakes it, for about 30 us more
   * per operation.
   *
   * @default {"bounded"}
   */
  wait?: "bounded" | "reaper";
}

/** Options with every default filled in. */
export interface EngineSettings {
  readonly kind: EngineKind | "auto";
  /** What asked for the kind, in words; empty if nothing did. */
  readonly forcedBy: string;
  readonly wait: "bounded" | "reaper";
}

const ACTION = "configure engine";
const DEFAULTS: EngineSettings = {
  kind: "auto",
  forcedBy: "",
  wait: "bounded",
};

let settings: EngineSettings | undefined;
let used = false;

/**
 * Chooses how this isolate runs its operations. Call it once, before the first file is opened. Each
 * worker chooses for itself.
 *
 * @throws {TypeError} If an option is wrong, or if the engine is in use.
 *
 * @example A program that must not wait for the disk on its own thread
 * ```ts
 * import { configureEngine, DirectFile } from "@basalt/io";
 * import { assertThrows } from "@std/assert";
 *
 * configureEngine({ wait: "reaper" });
 *
 * const path = Deno.makeTempFileSync();
 * using file = DirectFile.openSync(path);
 * console.log(file.capabilities.engine, file.capabilities.engineReason);
 * assertThrows(() => configureEngine({ kind: "threads" }), TypeError, "in use");
 * Deno.removeSync(path);
 * ```
 */
export function configureEngine(options: EngineOptions): void {
  const { kind, wait = "bounded" } = options;
  if (used) {
    throw new TypeError(
      "Cannot configure engine as it is in use: call configureEngine before the first file is opened",
    );
  }
  if (kind !== undefined) checkChoice(ACTION, "kind", kind, CHOICES);
  checkChoice(ACTION, "wait", wait, ["bounded", "reaper"]);
  settings = {
    kind: kind ?? "auto",
    forcedBy: kind === undefined ? "" : "asked for by configureEngine",
    wait,
  };
}

/** Returns whether the program's thread may wait for completions. */
export function mayWaitInPlace(): boolean {
  return (settings ?? DEFAULTS).wait === "bounded";
}

/** Returns the settings, which are fixed from now on. */
export function useSettings(): EngineSettings {
  const chosen = settings ?? DEFAULTS;
  const named = chosen.forcedBy === ""
    ? environment("BASALT_ENGINE")
    : undefined;
  if (named !== undefined) checkChoice(ACTION, "BASALT_ENGINE", named, CHOICES);
  used = true;
  return named === undefined ? chosen : {
    ...chosen,
    kind: named as EngineKind | "auto",
    forcedBy: "asked for by BASALT_ENGINE",
  };
}
