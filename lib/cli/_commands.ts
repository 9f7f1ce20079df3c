import type { MakeCommand } from "./_command.ts";
import { cursors } from "./commands/_cursors.ts";
import { exportLog } from "./commands/_export.ts";
import { importLog } from "./commands/_import.ts";
import { ingest } from "./commands/_ingest.ts";
import { inspect } from "./commands/_inspect.ts";
import { metrics } from "./commands/_metrics.ts";
import { probe } from "./commands/_probe.ts";
import { pull } from "./commands/_pull.ts";
import { read } from "./commands/_read.ts";
import { repair } from "./commands/_repair.ts";
import { retain } from "./commands/_retain.ts";
import { ship } from "./commands/_ship.ts";
import { tail } from "./commands/_tail.ts";
import { verify } from "./commands/_verify.ts";

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
