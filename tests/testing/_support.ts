import { assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import type { SimulatedDisk, SimulatedFile } from "../../lib/testing/mod.ts";

export const UNIT = 4096;

/** A pool that ends with the test. It fails if a block is still leased then. */
export class TestPool extends BufferPool {
  override [Symbol.dispose](): void {
    const { inUseBytes } = this.stats();
    super[Symbol.dispose]();
    if (inUseBytes !== 0) throw new Error(`${inUseBytes} bytes still in use`);
  }

  /** Leases a block of equal bytes. */
  filled(value: number, length = UNIT): ReturnType<BufferPool["acquireSync"]> {
    const buffer = this.acquireSync(length);
    buffer.bytes.fill(value);
    return buffer;
  }
}

/** Creates an empty file with a durable name. */
export function makeFile(disk: SimulatedDisk, path: string): SimulatedFile {
  const file = disk.openSync(path, { write: true, createNew: true });
  disk.syncDirectorySync(path.slice(0, path.lastIndexOf("/")) || "/");
  return file;
}

/** Returns the first byte of each block, or `undefined` if there is no such file. */
export function blocks(
  disk: SimulatedDisk,
  path: string,
): number[] | undefined {
  if (!disk.files().includes(path)) return undefined;
  const bytes = disk.peek(path);
  return Array.from(
    { length: Math.ceil(bytes.length / UNIT) },
    (_, i) => bytes[i * UNIT]!,
  );
}

/** Counts the different states that a power cut may leave. */
export function countStates(
  disk: SimulatedDisk,
  show: (after: SimulatedDisk) => unknown,
): number {
  return shownStates(disk, show).size;
}

/** Asserts that a power cut may leave exactly these states. */
export function assertStates(
  disk: SimulatedDisk,
  show: (after: SimulatedDisk) => unknown,
  expected: unknown[],
): void {
  assertEquals(
    [...shownStates(disk, show)].sort(),
    expected.map((each) => String(JSON.stringify(each))).sort(),
  );
}

function shownStates(
  disk: SimulatedDisk,
  show: (after: SimulatedDisk) => unknown,
): Set<string> {
  const found = new Set<string>();
  const count = disk.unsyncedUnits().length;
  for (let mask = 0n; mask < 1n << BigInt(count); mask++) {
    found.add(String(JSON.stringify(show(disk.crashState(mask)))));
  }
  return found;
}
