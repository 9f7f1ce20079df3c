import { environment } from "../native/mod.ts";

/**
 * How operations run: by a ring shared with the kernel (io_uring), by threads of the library, or on
 * the program's thread.
 */
export type EngineKind = "uring" | "threads" | "plain";

/** Every kind, the one that is tried first in front. */
export const ENGINE_KINDS = ["uring", "threads", "plain"] as const;

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
  /** Who asked for the kind, in words; empty if nobody did. */
  readonly forcedBy: string;
  readonly wait: "bounded" | "reaper";
}

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
  check("kind", kind, [undefined, "auto", ...ENGINE_KINDS]);
  check("wait", wait, ["bounded", "reaper"]);
  settings = {
    kind: kind ?? "auto",
    forcedBy: kind === undefined ? "" : "asked for by configureEngine",
    wait,
  };
}

/** Whether the program's thread may wait for completions, as far as it was said. */
export function mayWaitInPlace(): boolean {
  return (settings?.wait ?? "bounded") === "bounded";
}

/** The settings, from now on fixed. */
export function useSettings(): EngineSettings {
  const chosen = settings ?? { kind: "auto", forcedBy: "", wait: "bounded" };
  const named = chosen.forcedBy === ""
    ? environment("BASALT_ENGINE")
    : undefined;
  if (named !== undefined && named !== "") {
    check("BASALT_ENGINE", named, ["auto", ...ENGINE_KINDS]);
  }
  used = true;
  return named === undefined || named === "" ? chosen : {
    ...chosen,
    kind: named as EngineKind | "auto",
    forcedBy: "asked for by BASALT_ENGINE",
  };
}

function check(name: string, value: unknown, right: readonly unknown[]): void {
  if (right.includes(value)) return;
  const names = right.filter((each) => each !== undefined)
    .map((each) => JSON.stringify(each)).join(", ");
  throw new TypeError(
    `Cannot configure engine as '${name}' must be one of ${names}: received ${
      JSON.stringify(value)
    }`,
  );
}
