import type { MakeCommand } from "./command.ts";
import { demo } from "./commands/demo.ts";
import { handOver } from "./commands/hand_over.ts";
import { ingest } from "./commands/ingest.ts";
import { inspect } from "./commands/inspect.ts";
import { probe } from "./commands/probe.ts";
import { read } from "./commands/read.ts";
import { repair } from "./commands/repair.ts";
import { takeOver } from "./commands/take_over.ts";
import { verify } from "./commands/verify.ts";

/** The commands, in the order of the help. A new one is a file in `commands/` and a line here. */
export const COMMANDS: readonly MakeCommand[] = [
  ingest,
  read,
  inspect,
  verify,
  repair,
  probe,
  handOver,
  takeOver,
  demo,
];
