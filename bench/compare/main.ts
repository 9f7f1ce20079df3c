/** `deno task compare`: Basalt beside its alternatives, on the user's own disk. */
import { Context } from "./context.ts";
import { describeMachine, machineLines } from "./machine.ts";
import { type CompareOptions, compareOptions, USAGE } from "./options.ts";
import { writeHtml } from "./report/html.ts";
import { jsonReport } from "./report/json.ts";
import { writeMarkdown } from "./report/markdown.ts";
import { printedTable } from "./report/table.ts";
import { COMPARISONS, wanted } from "./comparisons.ts";
import { holdsAnywhere, type Row } from "./row.ts";

/** Runs the comparisons. Returns the exit code, which is 1 if one failed. */
export async function main(args: readonly string[]): Promise<number> {
  let options: CompareOptions;
  try {
    options = compareOptions(args, Object.keys(COMPARISONS));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  let context: Context;
  try {
    context = new Context(options);
  } catch (error) {
    const { message } = error as Error;
    console.error(`Cannot compare in '${options.directory}': ${message}`);
    return 2;
  }
  const interrupted = (): void => {
    context.clean();
    Deno.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, interrupted);
  }
  try {
    return await compare(context, options) ? 0 : 1;
  } finally {
    context.clean();
  }
}

async function compare(
  context: Context,
  options: CompareOptions,
): Promise<boolean> {
  const start = performance.now();
  const machine = describeMachine(context);
  for (const line of machineLines(machine)) console.log(line);
  const rows: Row[] = [];
  let failed = 0;
  for (const id of wanted(options)) {
    try {
      rows.push(...await COMPARISONS[id]!(context));
    } catch (error) {
      // The other comparisons still run.
      failed++;
      context.hide();
      console.error(error);
      context.leaveOut(id, `failed: ${(error as Error).message}`);
    }
  }
  context.hide();

  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  const notes = [
    ...context.notes,
    ...context.leftOut.map(({ what, reason }) =>
      `left out: ${what}: ${reason}`
    ),
  ];
  if (options.quick || options.scale < 1) {
    notes.push(
      options.scale < 1
        ? `scaled by ${options.scale}: this only tests the program, the figures mean nothing`
        : "two pairs only: indicative",
    );
  }
  const whole = !options.quick && options.scale >= 1;
  const verdict = (row: Row): boolean =>
    whole && (machine.reference || holdsAnywhere(row));
  if (!machine.reference && !rows.every(holdsAnywhere)) {
    notes.push(
      "no verdict for P: those goals hold for two cores and ext4 on a virtio disk",
    );
  }
  console.log(`\n${printedTable(rows, verdict)}\n`);
  for (const note of notes) console.log(note);
  console.log(
    `${rows.length} rows, ${context.pairs} pairs each, in ${minutes} minutes`,
  );

  if (options.json !== undefined) {
    Deno.writeTextFileSync(options.json, jsonReport(machine, rows, verdict));
  }
  if (options.html !== undefined) {
    writeHtml(options.html, machine, rows, verdict, notes);
  }
  if (options.markdown !== undefined) {
    writeMarkdown(options.markdown, machine, rows, verdict, notes);
  }
  return failed === 0;
}
