import { roundDown } from "../base/mod.ts";
import type { Loan } from "../pool/mod.ts";
import {
  type Capabilities,
  type Durability,
  isNoSpaceCode,
  type NoSpaceCode,
  NoSpaceError,
} from "../storage/mod.ts";
import { failure } from "../storage/parts.ts";
import { type FileUnit, type Inode, sizeUnit, writeUnits } from "./_inode.ts";
import type { Machine, Outcome, Task } from "./_machine.ts";
import {
  type MisuseReason,
  SimulatedMisuseError,
} from "./simulated_misuse_error.ts";

/** Largest size of a file, in bytes: that of ext4 with blocks of 4096 bytes. */
export const MAX_FILE_BYTES = 2 ** 44 - 4096;

/** Most repetitions of an operation after `EAGAIN`, as of a real file. */
const MAX_AGAIN = 100;
/** Pause before each of them. */
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

/** Repeats an operation after `EINTR`, and a limited number of times after `EAGAIN`. */
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

/** Returns the number of `EAGAIN`s so far, if the operation is to be repeated. */
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

/** Reads a range from its byte `done`; by several operations if one is short. */
export function readTask(
  transfer: Transfer,
  done = 0,
  again = 0,
): Task<number> {
  const { machine, inode, owner, loan } = transfer;
  const { from, position, length } = rest(transfer, done);
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
      // After the end of the file, a direct read may write zeros to the memory or leave it.
      if (machine.nondeterminism.chance(1 / 2)) bytes.fill(0, count);
      flipped(bytes.subarray(0, count), flipBit);
      return Math.max(done, from + count);
    },
    fail: (code) => failure(code, "read", owner.path),
    follow: (outcome) => {
      const count = repeats(machine, outcome, again);
      if (count !== undefined) return readTask(transfer, done, count);
      if ("error" in outcome || !cut || outcome.value === done) {
        return undefined;
      }
      // Only at the end of the file a read ends within a sector.
      const sector = owner.capabilities.readOffsetAlignment;
      return outcome.value % sector === 0
        ? readTask(transfer, outcome.value, again)
        : undefined;
    },
    release: () => loan.end(),
  };
}

/** Writes a range from its byte `done`; by several operations if one is short. */
export function writeTask(
  transfer: Transfer,
  durability: Durability,
  done = 0,
  again = 0,
): Task<number> {
  const { machine, inode, owner, loan } = transfer;
  const { from, position, length } = rest(transfer, done);
  const { blockBytes } = machine.settings;
  const bytes = loan.bytes.slice(from);
  const units = writeUnits(position, bytes, blockBytes);
  const end = position + length;
  const growth = end > inode.current.size ? [sizeUnit("size", end)] : [];
  const all = [...units, ...growth];
  const task: Task<number> = {
    kind: "write",
    path: inode.path,
    details: { position, length, durability },
    owner,
    writes: { inode, units: all },
    check: () => {
      checkMemory("write", transfer, bytes);
      if (machine.overlaps(task)) throw misuse("write", transfer, "overlap");
    },
    effect: (fault) => {
      // The kernel writes as much as a file has room for; the next call is refused.
      const room = MAX_FILE_BYTES - position;
      if (room <= 0) {
        throw noSpace("write", owner.path, loan.length, done, "EFBIG");
      }
      const moved = Math.min(fault.shortBytes ?? length, length, room);
      if (moved === 0) {
        inode.doubt(all);
        throw failure("EIO", "write", owner.path);
      }
      const { flipBit, misdirectTo: at = position } = fault;
      const isAsAsked = flipBit === undefined && at === position &&
        moved === length;
      const parts = isAsAsked
        ? units
        : writeUnits(at, flipped(bytes.slice(0, moved), flipBit), blockBytes);
      const written = write(transfer, parts, at, moved, from, durability);
      return Math.max(done, from + written);
    },
    fail: (code) => {
      // A device may have any part of a write that failed.
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

/** Makes the error of a call that found no room. */
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
 * Returns the rest of a transfer of which `done` bytes were moved. It begins where position and
 * memory are aligned for the device.
 */
function rest({ owner, position, loan }: Transfer, done: number) {
  const { offsetAlignment, memoryAlignment } = owner.capabilities;
  const from = roundDown(done, Math.max(offsetAlignment, memoryAlignment));
  return { from, position: position + from, length: loan.length - from };
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
  // The size that durable bytes need is durable with them, also if another operation set it.
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

/** Returns the first units of a write, as many as there is space for. */
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

/** Flips a bit of bytes, if they have it, and returns them. */
function flipped<Bytes extends Uint8Array>(
  bytes: Bytes,
  bit: number | undefined,
): Bytes {
  if (bit !== undefined && bit < bytes.length * 8) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  return bytes;
}

/** Checks that lent memory did not change since the operation began, and is aligned. */
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
