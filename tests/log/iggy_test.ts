/**
 * A directory that an Iggy server up to 0.8 wrote is not a log: docs/format.md#old-told-apart,
 * docs/format.md#open-refuse-foreign.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Log } from "@basalt/io";
import { SEGMENTS } from "../iggy/_recorded.ts";
import { testPool } from "./_support.ts";

for (const name of ["small", "rotated"]) {
  Deno.test({
    name:
      `Log.open() refuses the directory '${name}' of a server up to 0.8 by name, and changes nothing${SEGMENTS.skipped}`,
    ignore: SEGMENTS.isMissing,
    fn: async () => {
      const [source] = SEGMENTS.read(name);
      const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
      const pool = testPool();
      const contents = (): [string, Uint8Array][] =>
        [...Deno.readDirSync(dir)].map(({ name }) => name).sort()
          .map((file) => [file, Deno.readFileSync(`${dir}/${file}`)]);
      try {
        for (const { name: file } of Deno.readDirSync(source)) {
          Deno.copyFileSync(new URL(file, source), `${dir}/${file}`);
        }
        const before = contents();
        for (
          const error of [
            await assertRejects(
              () => Log.open(dir, { pool }),
              Deno.errors.InvalidData,
            ),
            assertThrows(
              () => Log.openSync(dir, { pool }),
              Deno.errors.InvalidData,
            ),
          ]
        ) {
          assert(error.message.includes(dir));
          assert(error.message.includes("Iggy up to 0.8"), error.message);
        }
        assertEquals(contents(), before);
      } finally {
        pool.close();
        Deno.removeSync(dir, { recursive: true });
      }
    },
  });
}
