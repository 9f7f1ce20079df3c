import type { Loan } from "../pool/mod.ts";
import {
  type Capabilities,
  type Durability,
  isNoSpaceCode,
  type NoSpaceCode,
  NoSpaceError,
} from "../storage/mod.ts";
import { failure } from "../storage/parts.ts";
import { type FileUnit, type Inode, sizeUnit, writeUnits } from "./inode.ts";
import type { Machine, Outcome, Task } from "./machine.ts";
import type { Fault } from "./operation.ts";
import {
  type MisuseReason,
  SimulatedMisuseError,
} from "./simulated_misuse_error.ts";

/** How large a file can be: as on ext4 with blocks of 4096 bytes. */
export const MAX_FILE_BYTES = 2 ** 44 - 4096;

/**
 * How often an operation that meets EAGAIN is repeated, and how long after: as a file of the disk
 * does.
 */
const MAX_AGAIN = 100;
const PAUSE_MS = 1;

/** A range of a file and the memory for it. */
export interface Transfer {
  readonly machine: Machine;
  readonly inode: Inode;
  /** The handle. */
  readonly owner: {
    readonly path: string;
    readonly capabilities: Capabilities;
  };
  readonly loan: Loan;
  readonly position: number;
}

/** Repeats an operation after EINTR, and for a while after EAGAIN. */
export function repeated<T>(
  machine: Machine,
  task: Task<T>,
  again = 0,
): Task<T> {
  return {
    ...task,
    follow: (outcome) => {
      const count = repeats(machine, outcome, again);
      return count === undefined ? undefined : repeated(machine, task, count);
    },
  };
}

/** How often EAGAIN was met when the operation is to be repeated; `undefined` if it is not. */
function repeats(
  machine: Machine,
  outcome: Outcome<unknown>,
  again: number,
): number | undefined {
  if (!("error" in outcome)) return undefined;
  const { code } = outcome.error as { code?: string };
  if (code === "EINTR") return again;
  if (code !== "EAGAIN" || again === MAX_AGAIN) return undefined;
  machine.clock.advance(PAUSE_MS);
  return again + 1;
}

/**
 * Reads a range, from the byte `done` of it on; by several operations where one is short.
 */
export function readTask(
  transfer: Transfer,
  done = 0,
  again = 0,
): Task<number> {
  const { machine, inode, owner, loan } = transfer;
  const from = resumed(transfer, done);
  const position = transfer.position + from;
  const length = loan.length - from;
  const before = machine.settings.manual ? loan.bytes.slice(from) : undefined;
  let cut = false;
  return {
    kind: "read",
    path: inode.path,
    details: { position, length },
    owner,
    check: () => checkMemory("read", transfer, before!),
    effect: ({ flipBit, shortBytes = length }) => {
      cut = shortBytes < length;
      const bytes = loan.bytes.subarray(from, from + shortBytes);
      const { current } = inode;
      if (!current.isReadable(position, bytes.length)) {
        throw failure("EIO", "read", owner.path);
      }
      const count = current.read(position, bytes);
      // Behind the end of the file a direct read leaves zeros, another one nothing.
      if (machine.whim.chance(1 / 2)) bytes.fill(0, count);
      if (flipBit !== undefined && flipBit < count * 8) flip(bytes, flipBit);
      return Math.max(done, from + count);
    },
    fail: (code) => failure(code, "read", owner.path),
    follow: (outcome) => {
      const count = repeats(machine, outcome, again);
      if (count !== undefined) return readTask(transfer, done, count);
      if ("error" in outcome || !cut || outcome.value === done) {
        return undefined;
      }
      // Within a sector only the file ends.
      const sector = owner.capabilities.readOffsetAlignment;
      return outcome.value % sector === 0
        ? readTask(transfer, outcome.value, again)
        : undefined;
    },
    release: () => loan.end(),
  };
}

/** Writes a range, from the byte `done` of it on; by several operations where one is short. */
export function writeTask(
  transfer: Transfer,
  durability: Durability,
  done = 0,
  again = 0,
): Task<number> {
  const { machine, inode, owner, loan } = transfer;
  const from = resumed(transfer, done);
  const position = transfer.position + from;
  const length = loan.length - from;
  const { blockBytes } = machine.settings;
  const units = writeUnits(position, loan.bytes.subarray(from), blockBytes);
  const end = position + length;
  const growth = end > inode.current.size ? [sizeUnit("size", end)] : [];
  const all = [...units, ...growth];
  const before = machine.settings.manual ? loan.bytes.slice(from) : undefined;
  const task: Task<number> = {
    kind: "write",
    path: inode.path,
    details: { position, length, durability },
    owner,
    writes: { inode, units: all },
    check: () => {
      checkMemory("write", transfer, before!);
      if (machine.overlaps(task)) throw misuse("write", transfer, "overlap");
    },
    effect: (fault) => {
      // The kernel writes what a file has room for, and refuses the rest when it is asked for.
      const room = MAX_FILE_BYTES - position;
      if (room <= 0) {
        throw noSpace("write", owner.path, loan.length, done, "EFBIG");
      }
      const moved = Math.min(fault.shortBytes ?? length, length, room);
      if (moved === 0) {
        inode.doubt(all);
        throw failure("EIO", "write", owner.path);
      }
      const [at, parts] = spoiled(
        units,
        position,
        length,
        moved,
        fault,
        blockBytes,
      );
      return Math.max(
        done,
        from + write(transfer, parts, at, moved, from, durability),
      );
    },
    fail: (code) => {
      // What a device has of a write that it failed is anybody's guess.
      if (code === "EIO") inode.doubt(all);
      return isNoSpaceCode(code)
        ? noSpace("write", owner.path, loan.length, done, code)
        : failure(code, "write", owner.path);
    },
    follow: (outcome) => {
      const count = repeats(machine, outcome, again);
      if (count !== undefined) {
        return writeTask(transfer, durability, done, count);
      }
      if ("error" in outcome || outcome.value === loan.length) return undefined;
      return writeTask(transfer, durability, outcome.value, again);
    },
    release: () => loan.end(),
  };
  return task;
}

/** The error of a call that found no room. */
export function noSpace(
  syscall: string,
  path: string,
  requestedBytes: number,
  writtenBytes: number,
  code: NoSpaceCode = "ENOSPC",
): NoSpaceError {
  return new NoSpaceError({
    code,
    syscall,
    path,
    requestedBytes,
    writtenBytes,
  });
}

/**
 * Where a transfer of which `done` bytes were moved goes on: where position and memory suit the
 * device.
 */
function resumed({ owner }: Transfer, done: number): number {
  const { offsetAlignment, memoryAlignment } = owner.capabilities;
  return done - done % Math.max(offsetAlignment, memoryAlignment);
}

/** What really reaches the disk of the first `moved` bytes, and where. */
function spoiled(
  units: readonly FileUnit[],
  position: number,
  length: number,
  moved: number,
  { flipBit, misdirectTo }: Fault,
  blockBytes: number,
): [position: number, units: readonly FileUnit[]] {
  if (flipBit === undefined && misdirectTo === undefined && moved === length) {
    return [position, units];
  }
  const bytes = joined(units).slice(0, moved);
  if (flipBit !== undefined && flipBit < moved * 8) flip(bytes, flipBit);
  const at = misdirectTo ?? position;
  return [at, writeUnits(at, bytes, blockBytes)];
}

function write(
  { machine, inode, owner, loan }: Transfer,
  units: readonly FileUnit[],
  position: number,
  length: number,
  from: number,
  durability: Durability,
): number {
  if (position + length > MAX_FILE_BYTES) {
    throw noSpace("write", owner.path, length, from, "EFBIG");
  }
  const fitting = fittingUnits(machine, inode, units);
  const written = fitting.reduce(
    (sum, unit) => unit.kind === "block" ? sum + unit.bytes.length : sum,
    0,
  );
  const carried = [...fitting];
  const end = position + written;
  // The size that durable bytes need is durable with them, also where an unsynced operation made
  // it.
  if (written > 0 && (durability !== "none" || end > inode.current.size)) {
    carried.push(sizeUnit("size", end));
  }
  inode.apply(carried);
  if (written < length) {
    throw noSpace("write", owner.path, loan.length, from + written);
  }
  if (durability !== "none") inode.settle(carried);
  return written;
}

/** The first units of a write, as many as there is space for. */
function fittingUnits(
  machine: Machine,
  inode: Inode,
  units: readonly FileUnit[],
): readonly FileUnit[] {
  let free = machine.freeBlocks();
  const full = units.findIndex((unit) =>
    unit.kind === "block" && !inode.current.isAllocated(unit.block) &&
    free-- === 0
  );
  return full < 0 ? units : units.slice(0, full);
}

function joined(units: readonly FileUnit[]): Uint8Array<ArrayBuffer> {
  const parts = units.flatMap((unit) =>
    unit.kind === "block" ? unit.bytes : []
  );
  const bytes = new Uint8Array(
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3]! ^= 1 << (bit & 7);
}

/** Checks that lent memory is as it was when the operation began, and where the device takes it. */
function checkMemory(
  kind: "read" | "write",
  transfer: Transfer,
  before: Uint8Array,
): void {
  const { loan, owner, position } = transfer;
  const { memoryAlignment } = owner.capabilities;
  const alignment = kind === "read"
    ? owner.capabilities.readOffsetAlignment
    : owner.capabilities.offsetAlignment;
  const aligned = position % alignment === 0 &&
    loan.length % alignment === 0 && loan.start % memoryAlignment === 0;
  if (!aligned) throw misuse(kind, transfer, "misaligned");
  const now = loan.bytes.subarray(loan.length - before.length);
  if (now.some((byte, i) => byte !== before[i])) {
    throw misuse(kind, transfer, "changed");
  }
}

function misuse(
  kind: "read" | "write",
  { owner, position, loan }: Transfer,
  reason: MisuseReason,
): SimulatedMisuseError {
  const { path } = owner;
  return new SimulatedMisuseError(kind, {
    path,
    position,
    length: loan.length,
    reason,
  });
}
