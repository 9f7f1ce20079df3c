import { isZero } from "../base/mod.ts";
import { blocksOf, type Contents, zeros } from "./_contents.ts";
import { hashBytes, hashText, type StateHash } from "./_state_hash.ts";
import { abandon, type Unit, UnitList } from "./_unit_list.ts";

/** A change of a file that a power cut keeps or loses independently. */
export type FileUnit = BlockUnit | SizeUnit;

/** The part of a write that lies in one block. */
interface BlockUnit extends Unit {
  readonly kind: "block";
  readonly block: number;
  /** The first byte within the block. */
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** A change of the size, or of the space that is taken. */
interface SizeUnit extends Unit {
  readonly kind: "size" | "truncate" | "preallocate";
  /** The first byte of an allocation; otherwise 0. */
  readonly position: number;
  /** The bytes that are allocated; otherwise the new size. */
  readonly length: number;
}

/** Outcome of a unit in a power cut; `"unreadable"`: its block cannot be read. */
export type UnitOutcome = "kept" | "gone" | "unreadable";

/** A file without its names: the contents that a read sees, and which changes are durable. */
export class Inode {
  /** The number on the disk, in the order of creation. */
  readonly number: number;
  /** The name, or the last one before the file lost it. */
  path: string;
  /** The handle that holds its lock. */
  lockedBy: object | undefined;
  /** The contents that a read sees. */
  readonly current: Contents;
  /** The durable contents, without the settled units that are still listed. */
  readonly #base: Contents;
  /** Changes that are not in the base yet, in order. */
  readonly #units: UnitList<FileUnit>;
  /** The block units among them, by block, in order. */
  readonly #byBlock: Map<number, Set<FileUnit>> = new Map();
  /** The units of kind `"size"` among them, in order. */
  readonly #growths: Set<SizeUnit> = new Set();
  /** Number of truncates among them, which do not commute with the rest. */
  #truncates = 0;

  /** Makes a file whose contents are durable. */
  constructor(
    number: number,
    path: string,
    durable: Contents,
    current: Contents = durable.clone(),
  ) {
    this.number = number;
    this.path = path;
    this.current = current;
    this.#base = durable;
    this.#units = new UnitList();
  }

  /** Returns the file for another disk: the same contents and the same unsynced changes. */
  clone(): Inode {
    const copy = new Inode(
      this.number,
      this.path,
      this.#base.clone(),
      this.current.clone(),
    );
    for (const unit of this.#units) copy.#add({ ...unit });
    return copy;
  }

  /** Returns the file with other contents, all durable. */
  withContents(contents: Contents): Inode {
    return new Inode(this.number, this.path, contents);
  }

  /** Returns the changes that are not durable yet, in order. */
  unsynced(): FileUnit[] {
    return this.#units.unsettled();
  }

  /** Returns the changes that a sync makes durable if it begins now. */
  syncable(): FileUnit[] {
    return this.#units.syncable();
  }

  /** Applies units: reads see them from now on. */
  apply(units: readonly FileUnit[]): void {
    for (const unit of units) {
      applyUnit(this.current, unit);
      this.#add(unit);
    }
  }

  /** Changes bytes durably and without an operation, whatever is unsynced. */
  change(units: readonly FileUnit[], end: number): void {
    const all = [...units, sizeUnit("size", end)];
    this.apply(all);
    this.settle(all);
  }

  /** Adds units that may have reached the disk although their operation failed. */
  doubt(units: readonly FileUnit[]): void {
    abandon(units);
    for (const unit of units) this.#add(unit);
  }

  /** Makes applied units durable. */
  settle(units: readonly FileUnit[]): void {
    for (const unit of units) this.#settle(unit);
    for (const unit of this.#units.takeSettledHead()) {
      applyUnit(this.#base, unit);
      this.#forget(unit);
    }
  }

  /**
   * Returns the contents after a power cut.
   *
   * @param inFlight Units of writes that have not completed.
   */
  replay(
    outcomeOf: (unit: FileUnit) => UnitOutcome,
    inFlight: readonly FileUnit[],
  ): Contents {
    const contents = this.#base.clone();
    for (const unit of [...this.#units, ...inFlight]) {
      const outcome = unit.settled ? "kept" : outcomeOf(unit);
      if (outcome === "kept") applyUnit(contents, unit);
      else if (outcome === "unreadable" && unit.kind === "block") {
        contents.spoil(unit.block);
      }
    }
    // Bytes beyond the size are lost: the size that they need did not survive.
    contents.truncate(contents.size);
    return contents;
  }

  /** Returns a hash of all contents that {@linkcode Inode.replay} can return. */
  crashHash(inFlight: readonly FileUnit[]): StateHash {
    let sum = this.#base.hash();
    for (const unit of [...this.#units, ...inFlight]) {
      const place = unit.kind === "block"
        ? [unit.block, unit.start, ...hashBytes(unit.bytes)]
        : [unit.position, unit.length];
      sum = hashText(sum, `${unit.kind} ${unit.settled} ${place}`);
    }
    return sum;
  }

  #add(unit: FileUnit): void {
    this.#units.add(unit);
    if (unit.kind === "truncate") this.#truncates++;
    if (unit.kind === "size") this.#growths.add(unit);
    if (unit.kind !== "block") return;
    const others = this.#byBlock.get(unit.block);
    if (others === undefined) this.#byBlock.set(unit.block, new Set([unit]));
    else others.add(unit);
  }

  #settle(unit: FileUnit): void {
    if (unit.settled || !this.#units.has(unit)) return;
    unit.settled = true;
    let earlier = 0;
    if (unit.kind === "block") {
      for (const other of this.#byBlock.get(unit.block)!) {
        if (other === unit) break;
        // A unit that this one covers makes no difference any more.
        if (covers(unit, other)) this.#remove(other);
        else earlier++;
      }
    }
    if (unit.kind === "size") {
      for (const other of this.#growths) {
        if (other === unit) break;
        if (other.length <= unit.length) this.#remove(other);
      }
    }
    // A unit that commutes with everything before it needs no place in the order.
    if (earlier === 0 && this.#truncates === 0) {
      applyUnit(this.#base, unit);
      this.#remove(unit);
    }
  }

  #remove(unit: FileUnit): void {
    this.#units.delete(unit);
    this.#forget(unit);
  }

  /** Removes a unit that is no longer listed from the indexes. */
  #forget(unit: FileUnit): void {
    if (unit.kind === "truncate") this.#truncates--;
    if (unit.kind === "size") this.#growths.delete(unit);
    if (unit.kind !== "block") return;
    const others = this.#byBlock.get(unit.block)!;
    others.delete(unit);
    if (others.size === 0) this.#byBlock.delete(unit.block);
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

function applyUnit(contents: Contents, unit: FileUnit): void {
  switch (unit.kind) {
    case "block":
      return contents.patch(unit.block, unit.start, unit.bytes);
    case "size":
      return contents.grow(unit.length);
    case "truncate":
      return contents.truncate(unit.length);
    case "preallocate":
      return contents.allocate(unit.position, unit.length);
  }
}

function covers(later: BlockUnit, earlier: FileUnit): boolean {
  return earlier.kind === "block" && later.start <= earlier.start &&
    later.start + later.bytes.length >= earlier.start + earlier.bytes.length;
}
