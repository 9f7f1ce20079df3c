import { assert, assertEquals } from "@std/assert";
import {
  directSupport,
  type FileProbe,
  isAtLeast,
  kernelRelease,
  kindOf,
} from "../../lib/storage/probe.ts";

const probe: FileProbe = {
  size: 0,
  blockSize: 4096,
  directKnown: true,
  syncsApart: false,
  memoryAlignment: 4,
  offsetAlignment: 4096,
  readOffsetAlignment: 512,
  deviceMajor: 8,
  deviceMinor: 1,
  device: "8:1",
  filesystem: "xfs",
  mode: 0o100644,
  inode: 1,
  links: 1,
  blocks: 0,
  physicalBlock: undefined,
};

Deno.test("isAtLeast() compares versions as numbers", () => {
  assert(isAtLeast("6.10.3-generic", 6, 9));
  assert(isAtLeast("6.1", 6, 1));
  assert(isAtLeast("10.0.0", 6, 14));
  assert(!isAtLeast("6.0.19", 6, 1));
  assert(!isAtLeast("5.15.0-1", 6, 1));
});

Deno.test("kernelRelease() is the release of the kernel", () => {
  assert(/^\d+\.\d+/.test(kernelRelease()), kernelRelease());
});

Deno.test("directSupport() takes the alignments that statx confirms, separately for memory, writes and reads", () => {
  assertEquals(directSupport(probe, "6.18.0"), {
    memoryAlignment: 4,
    offsetAlignment: 4096,
    readOffsetAlignment: 512,
    alignmentReason: "statx (STATX_DIOALIGN) of xfs",
  });
});

const zero = {
  memoryAlignment: 0,
  offsetAlignment: 0,
  readOffsetAlignment: 0,
};

Deno.test("directSupport() trusts no filesystem that says zero", () => {
  for (const release of ["6.18.0", "5.15.0"]) {
    assertEquals(
      directSupport({ ...probe, ...zero }, release),
      "xfs says that this file cannot be read and written directly (STATX_DIOALIGN is 0)",
    );
  }
});

Deno.test("directSupport() trusts a silent filesystem only on kernels that cannot tell", () => {
  const silent = { ...probe, ...zero, directKnown: false, filesystem: "tmpfs" };
  assertEquals(
    directSupport(silent, "6.1.0"),
    "tmpfs accepts O_DIRECT but does not confirm it (no STATX_DIOALIGN)",
  );
  assertEquals(directSupport(silent, "6.0.19"), {
    memoryAlignment: 4096,
    offsetAlignment: 4096,
    readOffsetAlignment: 4096,
    alignmentReason:
      "assumed: Linux 6.0.19 does not tell (STATX_DIOALIGN came with 6.1)",
  });
});

Deno.test("kindOf() names each file type", () => {
  assertEquals(
    [0o100644, 0o040755, 0o010644, 0o020666, 0o060660, 0o140777].map(kindOf),
    [
      "a regular file",
      "a directory",
      "a FIFO",
      "a character device",
      "a block device",
      "a socket",
    ],
  );
});
