/** Replays the line that a broken state prints. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ALL, FILES } from "../permissions.ts";
import { REPLAY } from "./_crash_state.ts";
import { BrokenState, Enumeration } from "./_enumeration.ts";
import { MUTANTS } from "./_mutants.ts";
import { replay } from "./_replay.ts";
import { preparing, type Setting, small, STEPS } from "./_scenario.ts";

/** A mutant that shows in the recovery of a killed log, which makes sync calls in every mode. */
const mutant = MUTANTS.find(({ name }) => name === "recovery does not cut")!;

/** Returns the first state that shows the mutant, as it is printed. */
async function killing(setting: Setting, seed: number): Promise<string> {
  const { message } = await assertRejects(
    () =>
      new Enumeration({
        setting,
        steps: STEPS,
        depth: 3,
        exhaustiveUnits: 4,
        seed,
        mutant,
      }).run(),
    BrokenState,
  );
  return message;
}

const asked = ALL ? Deno.env.get(REPLAY) : undefined;
if (asked !== undefined) {
  Deno.test("replay(): the state of BASALT_CRASH_REPLAY", () => replay(asked));
} else {
  for (const setting of [small(512), preparing(512)]) {
    Deno.test(
      `replay() repeats a broken state from one line, ${setting.name}`,
      { ignore: !FILES },
      async () => {
        for (const seed of [1, 2, 3_000_000_000]) {
          const message = await killing(setting, seed);
          const again = await assertRejects(
            () => replay(message.split("\n")[1]!),
            BrokenState,
          );
          assertEquals(again.message, message);
          // The subset breaks it, not the moment: with nothing left, the disk is as before the
          // step.
          await replay(message.replace(/"left":"0b1+0*"/, '"left":"0b0"'));
        }
      },
    );
  }

  Deno.test({
    name: "replayCommand() repeats a broken state in another process",
    ignore: !ALL,
    async fn() {
      const message = await killing(small(512), 1);
      const [first, command] = message.split("\n");
      const { success, stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", command!.replace(" deno ", ' "$0" '), Deno.execPath()],
        cwd: new URL("../..", import.meta.url),
        env: { NO_COLOR: "1" },
      }).output();
      const output = [stdout, stderr].map((each) =>
        new TextDecoder().decode(each)
      ).join("\n");
      assert(!success && output.includes("1 failed"), output);
      assert(output.includes(first!), output);
    },
  });
}
