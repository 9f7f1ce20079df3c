import { assert, assertEquals } from "@std/assert";
import { canMount } from "../machine.ts";
import { Directory, withMounts } from "./_support.ts";

const MOUNTS = canMount("mount -t tmpfs none $0");

Deno.test(
  `basalt ingest onto a full disk reports how much is durable, and the log holds that${
    MOUNTS ? "" : " (skipped: needs mounts)"
  }`,
  { ignore: !MOUNTS },
  async () => {
    using dir = new Directory();
    const lines = Array.from(
      { length: 200_000 },
      (_, i) => `line ${i} ${"x".repeat(60)}\n`,
    );
    Deno.writeTextFileSync(dir.file("input"), lines.join(""));
    Deno.mkdirSync(dir.file("disk"));
    // The small disk is mounted in the child alone, and ends with it.
    const script = `
      mount -t tmpfs -o size=4m none disk || exit 9
      "$@" ingest input --into disk/log 2> errors; echo $?
      "$@" verify disk/log > verified; echo $?
      "$@" read disk/log --raw > raw; echo $?
      "$@" repair disk/log --json > plan; echo $?
    `;
    const [out, failures] = await withMounts(dir, script);
    const errors = Deno.readTextFileSync(dir.file("errors"));
    // The write without room left a part of a batch, which the next writer cuts.
    assertEquals(
      out,
      "1\n1\n0\n1\n",
      failures + errors,
    );
    assert(/ENOSPC|no space/i.test(errors), errors);
    assert(!/\n\s+at /.test(errors), errors);
    const durable = Number(/(\d+) messages of/.exec(errors)?.[1]);
    assert(durable > 0 && durable < lines.length, errors);
    const verified = Deno.readTextFileSync(dir.file("verified"));
    assert(
      /torn: the last batch is cut off; opening cuts it\n.*1 fault\n$/.test(
        verified,
      ),
      verified,
    );
    const raw = Deno.readTextFileSync(dir.file("raw"));
    const read = raw.split("\n").length - 1;
    assertEquals(read, durable);
    assert(lines.join("").startsWith(raw), "what is there is a prefix");
    const plan = JSON.parse(Deno.readTextFileSync(dir.file("plan")));
    assertEquals([plan.lostMessages, plan.nextOffset], [0, read]);
  },
);
