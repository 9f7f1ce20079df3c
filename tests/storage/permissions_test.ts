import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { runScript } from "./_subprocess.ts";
import { TemporaryDirectory } from "./_tiers.ts";

interface Result {
  name: string;
  options?: Deno.OpenOptions;
  Deno: string;
  open: string;
  openSync?: string;
}

Deno.test(
  "DirectFile and DiskStorage need exactly the permissions of Deno's functions",
  { ignore: !ALL },
  async (t) => {
    using dir = new TemporaryDirectory();
    Deno.writeTextFileSync(dir.file("there"), "x");
    const { path } = dir;
    const flags = [
      [],
      ["--allow-read"],
      ["--allow-write"],
      [`--allow-read=${path}`, `--allow-write=${path}`],
      [
        `--allow-read=${path}`,
        `--allow-write=${path}`,
        `--deny-write=${path}/there`,
      ],
      ["--allow-read=/nowhere", `--allow-write=${path}`],
    ];
    for (const granted of flags) {
      await t.step(
        granted.join(" ").replaceAll(path, "DIR") || "none",
        async () => {
          const results = await runScript(
            new URL("open_child.ts", import.meta.url),
            [
              "--allow-ffi",
              ...granted,
            ],
            [path],
          ) as Result[];
          assert(results.some((each) => each.Deno !== "opened"));
          for (const each of results) {
            assertEquals({
              ...each,
              open: each.Deno,
              ...(each.openSync === undefined ? {} : { openSync: each.Deno }),
            }, each as unknown as Record<string, string>);
          }
        },
      );
    }
  },
);

Deno.test(
  "DirectFile assumes a physical block of 4096 where /sys may not be read, and does not prompt",
  { ignore: !ALL },
  async () => {
    using dir = new TemporaryDirectory();
    const { path } = dir;
    const reason = async (flags: string[]): Promise<string> => {
      const [physical, why] = await runScript(
        new URL("physical_block_child.ts", import.meta.url),
        [
          "--allow-ffi",
          ...flags,
        ],
        [`${path}/x`],
      ) as [number, string];
      assert(physical >= 4096);
      return why;
    };
    const narrow = await reason([
      `--allow-read=${path}`,
      `--allow-write=${path}`,
    ]);
    assert(
      /no permission to read \/sys\/dev\/block|on no block device/.test(narrow),
      narrow,
    );
    const wide = await reason(["--allow-read", "--allow-write"]);
    assert(/needs --allow-all|on no block device/.test(wide), wide);
  },
);
