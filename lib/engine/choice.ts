import { errnoName, UnsupportedError } from "../native/mod.ts";
import { Engine } from "./engine.ts";
import { type EngineSettings, mayWaitInPlace, useSettings } from "./options.ts";

let instance: Engine | undefined;

/**
 * The engine of this isolate, chosen and made at first use. It keeps the process alive only while
 * an operation is in flight.
 *
 * @throws {UnsupportedError} If one was asked for that the system refuses.
 */
export function engine(): Engine {
  return instance ??= choose(useSettings());
}

/** Whether this isolate has nothing in flight and its thread may wait in place; makes no engine. */
export function isEngineIdle(): boolean {
  return instance === undefined ? mayWaitInPlace() : instance.isIdle;
}

function choose(settings: EngineSettings): Engine {
  const { kind, forcedBy } = settings;
  const first = kind === "auto" ? "uring" : kind;
  const made = Engine.open(first, forcedBy, settings);
  if (typeof made !== "number") return made;
  const refusal = `io_uring is refused (${errnoName(-made)}: ${why(made)})`;
  if (kind === "auto") {
    const threads = Engine.open("threads", refusal, settings);
    if (typeof threads !== "number") return threads;
  }
  throw new UnsupportedError(`Cannot use the engine '${first}' ${forcedBy}`, {
    found: refusal,
    needed: 'a system that allows it, or the kind "auto"',
  });
}

/** What refuses a ring, by the status of making one. */
function why(status: number): string {
  switch (errnoName(-status)) {
    case "EPERM":
      return "by kernel.io_uring_disabled or the sandbox";
    case "ENOSYS":
      return "the kernel has none, or the sandbox hides it";
    case "EOPNOTSUPP":
      return "the kernel lacks what is needed, Linux 5.11";
    case "EMFILE":
    case "ENFILE":
      return "no descriptor is left for it";
    default:
      return "no memory, or a limit";
  }
}
