import { assert, assertEquals } from "@std/assert";
import { FLAGS, OPERATION } from "../../lib/engine/mod.ts";
import { encodeOperation, ENTRY_WORDS } from "../../lib/engine/operation.ts";
import type { Loan } from "../../lib/pool/mod.ts";
import { operation } from "./_operations.ts";

Deno.test("encodeOperation() writes every word, whatever was there before", () => {
  const words = new Uint32Array(3 * ENTRY_WORDS).fill(0xdeadbeef);
  const loan = { poolId: 2, slot: 3, generation: 9, start: 4, length: 50 };
  encodeOperation(
    words,
    ENTRY_WORDS,
    operation(OPERATION.WRITE, 0, {
      flags: FLAGS.DSYNC | FLAGS.DONTCACHE,
      file: 0x7fff_ffff,
      loan: loan as Loan,
      start: 1,
      position: 7 * 2 ** 32 + 0xffff_fffe,
      length: 5,
    }),
    8,
  );
  assertEquals(
    [...words.subarray(ENTRY_WORDS, 2 * ENTRY_WORDS)],
    [0x502, 0x7fff_ffff, 2, 3, 5, 5, 0xffff_fffe, 7, 8, 9, 0, 0],
  );
  encodeOperation(
    words,
    ENTRY_WORDS,
    operation(OPERATION.ALLOCATE, 0, {
      flags: 0,
      file: 1,
      loan: undefined,
      start: 0,
      position: 2 ** 53 - 1,
      length: 11 * 2 ** 32 + 10,
    }),
    4095,
  );
  assertEquals(
    [...words.subarray(ENTRY_WORDS, 2 * ENTRY_WORDS)],
    [5, 1, 0, 0, 0, 0, 0xffff_ffff, 0x1f_ffff, 4095, 0, 10, 11],
  );
  const others = [
    ...words.subarray(0, ENTRY_WORDS),
    ...words.subarray(2 * ENTRY_WORDS),
  ];
  assert(others.every((word) => word === 0xdeadbeef), "other words changed");
});
