import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { driveSync } from "../../lib/base/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { OverlayStorage, TaskStorage } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";

const UNIT = 4096;

type Step =
  | { do: "write"; file: number; at: number; units: number; byte: number }
  | { do: "truncate"; file: number; length: number }
  | { do: "rename"; file: number; to: number }
  | { do: "remove"; file: number }
  | { do: "create"; file: number };

const FILE = fc.nat({ max: 1 });
const STEP: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("write" as const),
    file: FILE,
    at: fc.nat({ max: 5 }),
    units: fc.integer({ min: 1, max: 3 }),
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({
    do: fc.constant("truncate" as const),
    file: FILE,
    length: fc.nat({ max: 6 * UNIT }),
  }),
  fc.record({ do: fc.constant("rename" as const), file: FILE, to: FILE }),
  fc.record({ do: fc.constant("remove" as const), file: FILE }),
  fc.record({ do: fc.constant("create" as const), file: FILE }),
);

const path = (file: number): string => `/d/${file}`;

Deno.test("OverlayStorage reads as the storage below with its own changes, and leaves that storage unchanged", () => {
  using pool = new BufferPool({ onWarning: () => {} });
  let steps = 0;
  fc.assert(
    fc.property(
      fc.array(
        FILE.chain((file) =>
          fc.tuple(fc.constant(file), fc.nat({ max: 5 * UNIT }))
        ),
        { maxLength: 3 },
      ),
      fc.array(STEP, { maxLength: 20, size: "max" }),
      (files, run) => {
        const disk = new SimulatedDisk();
        const model = new Map<string, Uint8Array>();
        for (const [file, size] of files) {
          if (model.has(path(file))) continue;
          const bytes = new Uint8Array(size).fill(100 + file);
          disk.poke(path(file), 0, bytes);
          model.set(path(file), bytes);
        }
        disk.poke("/d/other", 0, new Uint8Array(1));
        model.set("/d/other", new Uint8Array(1));
        const below = new Map(model);
        const overlay = new OverlayStorage(new TaskStorage(disk), () => false);
        for (const step of run) {
          steps++;
          take(step, overlay, model, pool);
          assertEquals(
            driveSync(overlay.list("/d")).map(({ name }) => `/d/${name}`),
            [...model.keys()].sort(),
          );
          for (const [name, bytes] of model) {
            assertSame(readAll(overlay, name, pool), bytes, name);
          }
        }
        for (const [name, bytes] of below) {
          assertSame(disk.peek(name), bytes, `${name} below`);
        }
        assertEquals(disk.files(), [...below.keys()].sort());
      },
    ),
    { numRuns: 300 },
  );
  console.log(`${steps} steps`);
});

function take(
  step: Step,
  overlay: OverlayStorage,
  model: Map<string, Uint8Array>,
  pool: BufferPool,
): void {
  const name = path(step.file);
  const old = model.get(name);
  if (step.do === "create") {
    if (old !== undefined) {
      assertThrows(
        () => driveSync(overlay.open(name, { write: true, createNew: true })),
        Deno.errors.AlreadyExists,
      );
    } else {
      const options = { write: true, createNew: true };
      driveSync(driveSync(overlay.open(name, options)).close());
      model.set(name, new Uint8Array(0));
    }
    return;
  }
  if (old === undefined) {
    assertThrows(() => driveSync(overlay.open(name)), Deno.errors.NotFound);
    assertThrows(() => driveSync(overlay.remove(name)), Deno.errors.NotFound);
    return;
  }
  if (step.do === "remove") {
    driveSync(overlay.remove(name));
    model.delete(name);
  } else if (step.do === "rename") {
    if (step.to === step.file) return;
    driveSync(overlay.rename(name, path(step.to)));
    model.delete(name);
    model.set(path(step.to), old);
  } else {
    const file = driveSync(overlay.open(name, { write: true }));
    if (step.do === "truncate") {
      driveSync(file.truncate(step.length));
      model.set(name, resized(old, step.length));
    } else {
      const [at, length] = [step.at * UNIT, step.units * UNIT];
      using buffer = pool.acquireSync(length);
      buffer.bytes.fill(step.byte);
      driveSync(file.write(buffer, at));
      const bytes = resized(old, Math.max(old.length, at + length));
      bytes.fill(step.byte, at, at + length);
      model.set(name, bytes);
    }
    driveSync(file.close());
  }
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const other = new Uint8Array(length);
  other.set(bytes.subarray(0, length));
  return other;
}

function readAll(
  overlay: OverlayStorage,
  name: string,
  pool: BufferPool,
): Uint8Array {
  const file = driveSync(overlay.open(name));
  const size = driveSync(file.size());
  const bytes = new Uint8Array(size);
  using buffer = pool.acquireSync(2 * UNIT);
  for (let at = 0; at < size; at += UNIT) {
    // Earlier bytes of the buffer must not be taken for those of the file.
    buffer.bytes.fill(0xee);
    const read = driveSync(
      file.read(buffer, at, { start: UNIT, length: UNIT }),
    );
    assertEquals(read, Math.min(UNIT, size - at));
    bytes.set(buffer.bytes.subarray(UNIT, UNIT + read), at);
  }
  driveSync(file.close());
  return bytes;
}

function assertSame(
  actual: Uint8Array,
  expected: Uint8Array,
  what: string,
): void {
  assertEquals(actual.length, expected.length, what);
  const wrong = actual.findIndex((byte, i) => byte !== expected[i]);
  assert(wrong < 0, `${what}: byte ${wrong}`);
}
