import type { MakeCommand } from "./command.ts";
import { cursors } from "./commands/cursors.ts";
import { exportLog } from "./commands/export.ts";
import { importLog } from "./commands/import.ts";
import { ingest } from "./commands/ingest.ts";
import { inspect } from "./commands/inspect.ts";
import { metrics } from "./commands/metrics.ts";
import { probe } from "./commands/probe.ts";
import { pull } from "./commands/pull.ts";
import { read } from "./commands/read.ts";
import { repair } from "./commands/repair.ts";
import { retain } from "./commands/retain.ts";
import { ship } from "./commands/ship.ts";
import { tail } from "./commands/tail.ts";
import { verify } from "./commands/verify.ts";

/** The commands, in the order of the help. A new one is a file in `commands/` and a line here. */
export const COMMANDS: readonly MakeCommand[] = [
  ingest,
  read,
  tail,
  cursors,
  inspect,
  verify,
  repair,
  retain,
  metrics,
  probe,
  exportLog,
  importLog,
  ship,
  pull,
];
