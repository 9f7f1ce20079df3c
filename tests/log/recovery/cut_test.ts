/**
 * Bytes that were cut never come back, and opening syncs before it trusts bytes:
 * docs/format.md#open-cut-before-append, docs/format.md#open-sync-before-trust.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  drainSync,
  HEADER,
  INDEX,
  LOG,
  openLogSync,
  payload,
  segment,
} from "../_support.ts";
import {
  assertMade,
  filesOf,
  flipped,
  LEFT_OPEN,
  make,
  on,
  placeOn,
  reopened,
  withLog,
  writeUnsynced,
} from "./_support.ts";

/** Payload of a message that fills one block. */
const BLOCK = 4096 - HEADER;

Deno.test("Log.open(): an old block after the cut does not come back when a new message ends where that block starts", () => {
  // A is durable. X and M were written and never acknowledged. The power cut left M and the file's
  // size.
  const first = placeOn(new SimulatedDisk());
  const log = openLogSync(first);
  appendSome(log, 1, BLOCK);
  log.flushSync();
  appendSome(log, 2, BLOCK);
  log.flushSync({ durability: "none" });
  const disk = first.storage.crash(({ kind, position }) =>
    kind === "size" || position === 8192
  );
  assertEquals(disk.peek(`/log/${LOG}`).length, 3 * 4096);
  assertEquals(
    disk.peek(`/log/${LOG}`).subarray(4096, 8192),
    new Uint8Array(4096),
  );

  const second = placeOn(disk);
  const again = openLogSync(second);
  assertEquals(again.nextOffset, 1);
  // The bytes that were cut are kept beside the log.
  assertEquals(again.stats().opening.kept.length, 1);
  // N ends where M starts, and M has the next offset.
  again.append(payload(77, BLOCK));
  again.flushSync();
  const units = disk.unsyncedUnits().length;
  assert(units <= 10, `${units} units`);
  for (let left = 0n; left < 1n << BigInt(units); left++) {
    const third = placeOn(disk.crashState(left));
    const read = reopened(third);
    assertEquals(read.length, 2, `units ${left.toString(2)}`);
    assertEquals(read[1]!.payload, payload(77, BLOCK));
  }
  again.closeSync();
});

Deno.test("Log.open(): no old block comes back with any subset of blocks, after every further append", () => {
  const first = placeOn(new SimulatedDisk());
  const log = openLogSync(first);
  appendSome(log, 1, BLOCK);
  log.flushSync();
  appendSome(log, 4, BLOCK);
  log.flushSync({ durability: "none" });
  const units = first.storage.unsyncedUnits().length;
  for (let left = 0n; left < 1n << BigInt(units); left++) {
    const disk = first.storage.crashState(left);
    const second = placeOn(disk);
    const again = openLogSync(second);
    const begin = again.nextOffset;
    assert(begin >= 1);
    // Each has the same size as those that were there, and different bytes.
    for (let i = begin; i < 5; i++) {
      again.append(payload(100 + i, BLOCK));
      again.flushSync();
      const third = placeOn(disk.crashState("none"));
      const read = reopened(third);
      assertEquals(read.length, i + 1, `units ${left.toString(2)}, ${i}`);
      for (let k = 0; k <= i; k++) {
        assertEquals(read[k]!.payload, payload(k < begin ? k : 100 + k, BLOCK));
      }
    }
    again.closeSync();
  }
  log.closeSync();
});

Deno.test("Log.open() cuts the log to its end, and syncs, before the first append", () => {
  const made = make(0, [10, 20, 3000]);
  const log = flipped(made.log, made.starts[2]! + 40);
  return on({ [LOG]: log, [INDEX]: made.index, ...LEFT_OPEN }, (place) => {
    const disk = place.storage;
    const opened = openLogSync(place);
    const end = made.starts[2]!;
    const left = disk.crashState("none");
    assertEquals(left.peek(`/log/${LOG}`), made.log.slice(0, end));
    assertEquals(left.peek(`/log/${INDEX}`), made.index);
    assertEquals(disk.unsyncedUnits(), []);
    opened.closeSync();
  });
});

/**
 * Returns the operations on a segment's files, as `kind extension`, up to and including the first
 * of a kind.
 */
function before(disk: SimulatedDisk, kind: string, path: string): string[] {
  const end = disk.trace.findIndex((each) =>
    each.kind === kind && each.path === path
  );
  assert(end >= 0, `no ${kind} of ${path}`);
  return disk.trace.slice(0, end).map((each) =>
    `${each.kind} ${each.path}${each.durability ? ` ${each.durability}` : ""}`
  );
}

Deno.test("Log.open() syncs log and index before it trusts them", () =>
  on({ ...filesOf(make(0, [10, 20])), ...LEFT_OPEN }, (place) => {
    withLog(place, () => {
      const disk = place.storage;
      for (const name of [LOG, INDEX]) {
        const done = before(disk, "read", `/log/${name}`);
        assert(done.includes(`sync /log/${name} full`), done.join());
        const sized = before(disk, "size", `/log/${name}`);
        assert(sized.includes(`sync /log/${name} full`), sized.join());
      }
    });
  }));

Deno.test("Log.open() syncs the sealed segments of an imported log before it trusts them", () => {
  const files = filesOf(make(0, [10]), make(1, [10, 20]), make(3, [5]));
  const name = segment(1);
  delete files[`${name}.index`];
  // A log with `meta` was written by Basalt, which synced its sealed segments.
  delete files["meta"];
  return on(files, (place) => {
    withLog(place, () => {
      const done = before(place.storage, "read", `/log/${name}.log`);
      assert(done.includes(`sync /log/${name}.log full`), done.join());
    });
  });
});

Deno.test("Log.open() trusts and changes nothing where syncing fails", async () => {
  const files = { ...filesOf(make(0, [10, 20])), ...LEFT_OPEN };
  for (const name of [LOG, INDEX]) {
    await on(files, (place) => {
      const disk = place.storage;
      const hash = disk.hash();
      disk.onOperation(({ kind, path }) =>
        kind === "sync" && path.endsWith(name) ? { error: "EIO" } : undefined
      );
      assertThrows(() => openLogSync(place), Error, "EIO");
      assertEquals(disk.hash(), hash);
    });
  }
});

Deno.test("Log.open(): messages that a killed process wrote without a sync are durable once the log is open", () => {
  for (let seed = 0; seed < 20; seed++) {
    const first = placeOn(new SimulatedDisk({ seed }));
    const log = openLogSync(first, { segmentBytes: 20_000 });
    appendSome(log, 20, 1000);
    log.flushSync();
    appendSome(log, 20, 1000);
    log.flushSync({ durability: "none" });
    const killed = first.storage.kill();
    const second = placeOn(killed);
    const again = openLogSync(second);
    assertEquals(again.nextOffset, 40);
    for (const choice of ["none", "random"] as const) {
      const third = placeOn(killed.crashState(choice));
      assertMade(reopened(third), 0, Array.from({ length: 40 }, () => 1000));
    }
    again.closeSync();
  }
});

Deno.test("Log.open(): a closed segment that was never synced is durable before something follows it", () => {
  // As a server or a copying program leaves it.
  const made = make(0, [100, 5000, 3000]);
  return on({}, (place) => {
    const disk = place.storage;
    disk.makeDirectorySync("/log");
    writeUnsynced(place, `/log/${LOG}`, made.log);
    writeUnsynced(place, `/log/${INDEX}`, made.index);
    const log = openLogSync(place);
    assertEquals(log.stats().opening.recovered, []);
    appendSome(log, 1, 10);
    log.flushSync();
    assertMade(drainSync(log), 0, [100, 5000, 3000, 10]);
    const third = placeOn(disk.crashState("none"));
    assertMade(reopened(third), 0, [100, 5000, 3000, 10]);
    log.closeSync();
  });
});
