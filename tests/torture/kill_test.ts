/**
 * Writers that are really killed. What reached the kernel survives them, so this tests locks,
 * recovery and order, and no power cuts.
 */
import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { torture } from "./_tortured_log.ts";

const KILLS = Number(ALL ? Deno.env.get("BASALT_KILLS") ?? 100 : 0);

Deno.test(
  `Log: ${KILLS} writers that are killed while they write, recover, roll and close lose nothing acknowledged`,
  {
    ignore: !ALL,
  },
  async () => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const { kills, acknowledged, compared, slowestOpenMs, wrongs, lost } =
      await torture(seed, async (log) => {
        for (let kill = 0; kill < KILLS; kill++) await log.kill();
      });
    console.log(
      `seed ${seed}: killed ${kills.writing} writing, ${kills.recovering} recovering, ${kills.closing} closing; ` +
        `${acknowledged} acknowledged, ${compared} compared, opened again within ${
          slowestOpenMs.toFixed(0)
        } ms (a killed process loses nothing that reached the kernel: this shows locks, recovery and order, not power cuts)`,
    );
    assertEquals(wrongs, [], `seed ${seed}`);
    assertEquals(lost, 0);
    assert(Math.min(...Object.values(kills)) > 0 && acknowledged > KILLS);
    assert(slowestOpenMs < 2500, `${slowestOpenMs} ms`);
  },
);
