/** A real disk of which one operation fails, or one and all that follow. */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { TorturedLog } from "./tortured_log.ts";

const FAULTS = 200;

Deno.test(
  `Log on a real disk whose operations fail: ${FAULTS} writers get known errors and lose nothing acknowledged`,
  {
    ignore: !ALL,
  },
  async () => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const dir = Deno.makeTempDirSync({ prefix: "basalt_fault_" });
    const log = new TorturedLog(`${dir}/log`, seed);
    try {
      for (let round = 0; round < FAULTS; round++) await log.fail();
      await log.compare(true);
    } finally {
      log.close();
      Deno.removeSync(dir, { recursive: true });
    }
    const { faults, acknowledged, compared } = log.figures;
    console.log(
      `seed ${seed}: ${faults} operations failed, ${acknowledged} acknowledged, ${compared} compared`,
    );
    assertEquals(log.figures.wrongs, [], `seed ${seed}`);
    assertEquals(log.figures.lost, 0);
    assert(faults > FAULTS / 2 && acknowledged > FAULTS);
  },
);
