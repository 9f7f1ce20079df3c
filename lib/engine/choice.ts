import { errnoName, UnsupportedError } from "../native/mod.ts";
import { Engine } from "./engine.ts";
import { type EngineSettings, mayWaitInPlace, useSettings } from "./options.ts";

let instance: Engine | undefined;

/**
 * Returns the engine of this isolate, which is made at first use. It keeps the process alive only
 * while an operation is in flight.
 *
 * @throws {UnsupportedError} If the system refuses the engine that was asked for.
 */
export function engine(): Engine {
  return instance ??= choose(useSettings());
}

/**
 * Returns whether this isolate has nothing in flight and its thread may wait in place. It makes no
 * engine.
 */
export function isEngineIdle(): boolean {
  return instance === undefined ? mayWaitInPlace() : instance.isIdle;
}

function choose(settings: EngineSettings): Engine {
  const { kind, forcedBy } = settings;
  const first = kind === "auto" ? "uring" : kind;
  const made = Engine.open(first, forcedBy, settings);
  if (typeof made !== "number") return made;
  const code = errnoName(-made);
  const why = REFUSALS[code] ?? "no memory, or a limit";
  const refusal = `io_uring is refused (${code}: ${why})`;
  if (kind === "auto") {
    const threads = Engine.open("threads", refusal, settings);
    if (typeof threads !== "number") return threads;
  }
  throw new UnsupportedError(`Cannot use the engine '${first}' ${forcedBy}`, {
    found: refusal,
    needed: 'a system that allows it, or the kind "auto"',
  });
}

/** What refuses a ring, by the code of making one. */
const REFUSALS: Readonly<Record<string, string>> = {
  EPERM: "by kernel.io_uring_disabled or the sandbox",
  ENOSYS: "the kernel has none, or the sandbox hides it",
  EOPNOTSUPP: "the kernel lacks what is needed, Linux 5.11",
  EMFILE: "no descriptor is left for it",
  ENFILE: "no descriptor is left for it",
};
