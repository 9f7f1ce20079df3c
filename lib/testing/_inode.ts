import { isZero } from "../base/mod.ts";
import { blocksOf, type Contents, zeros } from "./_contents.ts";
import { hashBytes, hashOf } from "./_state_hash.ts";
import { abandon, type Unit, UnsyncedState } from "./_unsynced_state.ts";

/** A change of a file that a power cut keeps or loses independently. */
export type FileUnit = BlockUnit | SizeUnit;

/** The part of a write that lies in one block. */
interface BlockUnit extends Unit {
  readonly kind: "block";
  readonly block: number;
  /** The first byte within the block. */
  readonly start: number;
  readonly bytes: Uint8Array;
  /** Whether a power cut left the block unreadable. */
  readonly isUnreadable?: boolean;
}

/** A change of the size, or of the space that is taken. */
interface SizeUnit extends Unit {
  readonly kind: "size" | "truncate" | "preallocate";
  /** The first byte of an allocation; otherwise 0. */
  readonly position: number;
  /** The bytes that are allocated; otherwise the new size. */
  readonly length: number;
}

/** A file without its names: the contents that a read sees, and which changes are durable. */
export class Inode extends UnsyncedState<Contents, FileUnit> {
  /** The number on the disk, in the order of creation. */
  readonly number: number;
  /** The name, or the last one before the file lost it. */
  path: string;
  /** The handle that holds its lock. */
  lockedBy: object | undefined;

  /** Makes a file whose contents are durable. */
  constructor(
    number: number,
    path: string,
    durable: Contents,
    current: Contents = durable.clone(),
  ) {
    super(durable, current);
    this.number = number;
    this.path = path;
  }

  /** Returns the file for another disk: the same contents and the same unsynced changes. */
  clone(): Inode {
    const { number, path, base, current } = this;
    const copy = new Inode(number, path, base.clone(), current.clone());
    copy.units = this.units.map((unit) => ({ ...unit }));
    return copy;
  }

  /** Adds units that may have reached the disk although their operation failed. */
  doubt(units: readonly FileUnit[]): void {
    abandon(units);
    this.units.push(...units);
  }

  /**
   * Returns the file after a power cut.
   *
   * @param inFlight Units of writes that have not completed.
   */
  after(
    outcomeOf: (unit: FileUnit) => FileUnit | undefined,
    inFlight: readonly FileUnit[],
  ): Inode {
    const contents = this.replayed(outcomeOf, inFlight);
    // Bytes beyond the size are lost: the size that they need did not survive.
    contents.truncate(contents.size);
    return new Inode(this.number, this.path, contents);
  }

  /** Returns a hash of all contents that {@linkcode Inode.after} can return. */
  crashHash(inFlight: readonly FileUnit[]): string {
    const parts = [...this.units, ...inFlight].map((unit) => {
      const place = unit.kind === "block"
        ? [unit.block, unit.start, hashBytes(unit.bytes)]
        : [unit.position, unit.length];
      return [unit.kind, unit.settled, ...place].join(" ");
    });
    return hashOf([this.base.hash(), ...parts].join("\n"));
  }

  protected copyOf(contents: Contents): Contents {
    return contents.clone();
  }

  protected change(contents: Contents, unit: FileUnit): void {
    switch (unit.kind) {
      case "block":
        if (unit.isUnreadable) return contents.spoil(unit.block);
        return contents.patch(unit.block, unit.start, unit.bytes);
      case "size":
        return contents.grow(unit.length);
      case "truncate":
        return contents.truncate(unit.length);
      case "preallocate":
        return contents.allocate(unit.position, unit.length);
    }
  }

  protected commute(later: FileUnit, earlier: FileUnit): boolean {
    if (later.kind === "truncate" || earlier.kind === "truncate") return false;
    return later.kind !== "block" || earlier.kind !== "block" ||
      later.block !== earlier.block;
  }

  protected covers(later: FileUnit, earlier: FileUnit): boolean {
    if (later.kind === "size" && earlier.kind === "size") {
      return later.length >= earlier.length;
    }
    return later.kind === "block" && earlier.kind === "block" &&
      later.block === earlier.block && later.start <= earlier.start &&
      later.start + later.bytes.length >= earlier.start + earlier.bytes.length;
  }
}

/**
 * Returns the parts of a write, one for each block: views of bytes that never change. Without
 * bytes, it is a write of zeros.
 */
export function blockUnits(
  position: number,
  length: number,
  blockBytes: number,
  bytes?: Uint8Array,
): BlockUnit[] {
  const zero = zeros(blockBytes);
  return Array.from(blocksOf(position, length, blockBytes), (block) => {
    const offset = block * blockBytes - position;
    const from = Math.max(0, offset);
    const to = Math.min(length, offset + blockBytes);
    const part = bytes?.subarray(from, to) ?? zero.subarray(0, to - from);
    return {
      kind: "block",
      block,
      start: from - offset,
      bytes: part.length === blockBytes && isZero(part) ? zero : part,
      settled: false,
      abandoned: false,
    };
  });
}

/** Makes a change of the size, or of the space that is taken. */
export function sizeUnit(
  kind: SizeUnit["kind"],
  length: number,
  position = 0,
): SizeUnit {
  return { kind, position, length, settled: false, abandoned: false };
}
