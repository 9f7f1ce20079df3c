/**
 * `deno task torture [--minutes N] [--seed S] DIR`: kills writers of a log and fails operations
 * under others, on the disk and filesystem of `DIR`, for a time.
 *
 * It ends with one line, `N kills, M faults, A acknowledged, L lost`, and exits with 1 if anything
 * was lost or wrong. A killed process loses nothing that reached the kernel, so this tests locks,
 * recovery and order on this filesystem. The simulated disk tests power cuts.
 */
import { Command, InvalidArgumentError } from "commander";
import { Progress } from "../lib/cli/_terminal.ts";
import { TorturedLog } from "../tests/torture/_tortured_log.ts";

function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("must be a number above 0");
}

function seedOf(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  throw new InvalidArgumentError("must be an integer from 0 to 2^32 - 1");
}

const program = new Command("torture")
  .description(
    "Kills writers of a log and fails operations under others, on the disk of DIR, and checks that nothing acknowledged is lost.",
  )
  .argument("<DIR>", "an existing directory; a new one in it is used")
  .option("--minutes <N>", "how long", positive, 1)
  .option("--seed <S>", "repeats the choices of an earlier run", seedOf)
  .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2))
  .parse(Deno.args, { from: "user" });

const { minutes, seed = crypto.getRandomValues(new Uint32Array(1))[0]! } =
  program.opts<{ minutes: number; seed?: number }>();
let dir: string;
try {
  dir = Deno.makeTempDirSync({ dir: program.args[0]!, prefix: "torture-" });
} catch (error) {
  console.error(`Cannot use '${program.args[0]}': ${(error as Error).message}`);
  Deno.exit(2);
}

const log = new TorturedLog(`${dir}/log`, seed);
const { figures } = log;
const progress = new Progress();
let interrupted = false;
Deno.addSignalListener("SIGINT", () => interrupted = true);

/** Returns what happened so far, in one line. */
function line(): string {
  const kills = Object.values(figures.kills).reduce((sum, n) => sum + n, 0);
  return `${kills} kills, ${figures.faults} faults, ${figures.acknowledged} acknowledged, ${figures.lost} lost`;
}

console.error(`seed ${seed}, ${minutes} minutes in ${dir}`);
const end = performance.now() + minutes * 60_000;
for (let round = 0; performance.now() < end && !interrupted; round++) {
  if (round % 3 === 2) await log.fail();
  else await log.kill();
  progress.show(line);
  if (figures.wrongs.length > 0) break;
}
await log.compare(true);
log.close();
progress.end();

const failed = figures.lost > 0 || figures.wrongs.length > 0;
for (const wrong of figures.wrongs) console.error(wrong);
if (failed) console.error(`seed ${seed}; the log is kept in ${dir}`);
else Deno.removeSync(dir, { recursive: true });
console.log(line());
Deno.exit(failed ? 1 : 0);
