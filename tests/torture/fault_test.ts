/** A real disk of which one operation fails, or one and all that follow. */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { torture } from "./_tortured_log.ts";

const FAULTS = 200;

Deno.test(
  `Log on a real disk with failing operations: ${FAULTS} writers get known errors and lose nothing acknowledged`,
  { ignore: !ALL },
  async () => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const { faults, acknowledged, compared, wrongs, lost } = await torture(
      seed,
      async (log) => {
        for (let round = 0; round < FAULTS; round++) await log.fail();
      },
    );
    console.log(
      `seed ${seed}: ${faults} operations failed, ${acknowledged} acknowledged, ${compared} compared`,
    );
    assertEquals(wrongs, [], `seed ${seed}`);
    assertEquals(lost, 0);
    assert(faults > FAULTS / 2 && acknowledged > FAULTS);
  },
);
