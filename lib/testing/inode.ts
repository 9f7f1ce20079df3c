import { isZero } from "../base/mod.ts";
import { blocksOf, type Contents, zeros } from "./contents.ts";
import { hashBytes, hashText, type StateHash } from "./state_hash.ts";
import { UnitList } from "./unit_list.ts";

/** A change of a file that a power cut may leave behind or not, by itself. */
export type FileUnit =
  & ({
    readonly kind: "block";
    readonly block: number;
    /** The first byte within the block. */
    readonly start: number;
    readonly bytes: Uint8Array;
  } | {
    readonly kind: "size";
    readonly length: number;
  } | {
    readonly kind: "truncate";
    readonly length: number;
  } | {
    readonly kind: "preallocate";
    readonly position: number;
    readonly length: number;
  })
  & {
    /** Whether it is durable, and only kept for its place in the order. */
    settled: boolean;
    /** Whether a sync of it failed: later ones do not make it durable. */
    abandoned: boolean;
  };

/** What a power cut made of a unit: of a part of a block also, that the block cannot be read. */
export type Fate = "kept" | "gone" | "unreadable";

/** A file, whatever its names: what reading gives, and what of it is durable. */
export class Inode {
  /** Its number on the disk, in the order of creation. */
  readonly number: number;
  /** A name that it has, or the last one that it had. */
  path: string;
  /** Handles that are open. */
  handles = 0;
  /** The open file that holds its lock. */
  lockedBy: object | undefined;
  /** What reading gives. */
  readonly current: Contents;
  /** What is durable, but for the settled units. */
  readonly #base: Contents;
  /** What is not in the base yet, in order. */
  readonly #units: UnitList<FileUnit>;
  /** The parts of blocks among them, by block, in order. */
  readonly #byBlock: Map<number, Set<FileUnit>> = new Map();
  /** The growths among them, in order. */
  readonly #growths: Set<FileUnit & { kind: "size" }> = new Set();
  /** How many of them are truncates, which do not commute with the rest. */
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

  /** The file as another disk has it: the same contents, the same left unsynced. */
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

  /** The file with other contents, all durable. */
  withContents(contents: Contents): Inode {
    return new Inode(this.number, this.path, contents);
  }

  /** What is not durable yet, in order. */
  unsynced(): FileUnit[] {
    return this.#units.unsettled();
  }

  /** What a sync that begins now makes durable. */
  syncable(): FileUnit[] {
    return this.unsynced().filter((unit) => !unit.abandoned);
  }

  /** Carries units out: reading gives their outcome from now on. */
  apply(units: readonly FileUnit[]): void {
    for (const unit of units) {
      applyUnit(this.current, unit);
      this.#add(unit);
    }
  }

  /** Changes bytes behind everybody's back: durably, whatever is unsynced. */
  change(units: readonly FileUnit[], end: number): void {
    const all = [...units, sizeUnit("size", end)];
    this.apply(all);
    this.settle(all);
  }

  /** Remembers units that may have reached the disk although their operation failed. */
  doubt(units: readonly FileUnit[]): void {
    for (const unit of units) {
      unit.abandoned = true;
      this.#add(unit);
    }
  }

  /** Makes units durable that were carried out. */
  settle(units: readonly FileUnit[]): void {
    for (const unit of units) this.#settle(unit);
    for (const unit of this.#units.takeSettledHead()) {
      applyUnit(this.#base, unit);
      this.#forget(unit);
    }
  }

  /** A sync of these failed: it is never known again whether they are durable. */
  abandon(units: readonly FileUnit[]): void {
    for (const unit of units) unit.abandoned = true;
  }

  /**
   * The contents after a power cut that left units, those in flight among them, as their fate was.
   */
  replay(
    fate: (unit: FileUnit) => Fate,
    inFlight: readonly FileUnit[],
  ): Contents {
    const contents = this.#base.clone();
    for (const unit of [...this.#units, ...inFlight]) {
      const left = unit.settled ? "kept" : fate(unit);
      if (left === "kept") applyUnit(contents, unit);
      else if (left === "unreadable" && unit.kind === "block") {
        contents.spoil(unit.block);
      }
    }
    // Bytes that were written behind the end, without the size that they need, are not part of the
    // file.
    contents.cut(contents.size);
    return contents;
  }

  /** Stands for all contents that {@linkcode Inode.replay} can give. */
  crashHash(inFlight: readonly FileUnit[]): StateHash {
    let sum = this.#base.hash();
    for (const unit of [...this.#units, ...inFlight]) {
      const place = unit.kind === "block"
        ? [unit.block, unit.start, ...hashBytes(unit.bytes)]
        : [unit.kind === "preallocate" ? unit.position : 0, unit.length];
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
        // Whether a part that this one covers was there makes no difference any more.
        if (other.kind === "block" && covers(unit, other)) this.#remove(other);
        else earlier++;
      }
    }
    if (unit.kind === "size") {
      for (const other of this.#growths) {
        if (other === unit) break;
        if (other.length <= unit.length) this.#remove(other);
      }
    }
    // What commutes with everything before it needs no place in the order.
    if (earlier === 0 && this.#truncates === 0) {
      applyUnit(this.#base, unit);
      this.#remove(unit);
    }
  }

  #remove(unit: FileUnit): void {
    this.#units.delete(unit);
    this.#forget(unit);
  }

  /** Takes a unit that is no longer listed out of the counts. */
  #forget(unit: FileUnit): void {
    if (unit.kind === "truncate") this.#truncates--;
    if (unit.kind === "size") this.#growths.delete(unit);
    if (unit.kind !== "block") return;
    const others = this.#byBlock.get(unit.block)!;
    others.delete(unit);
    if (others.size === 0) this.#byBlock.delete(unit.block);
  }
}

/** The parts of a write, one for each block; the bytes are copied. */
export function writeUnits(
  position: number,
  bytes: Uint8Array,
  blockBytes: number,
): FileUnit[] {
  const units: FileUnit[] = [];
  for (const block of blocksOf(position, bytes.length, blockBytes)) {
    const start = Math.max(0, position - block * blockBytes);
    const from = block * blockBytes + start - position;
    const part = bytes.slice(from, from + blockBytes - start);
    units.push({
      kind: "block",
      block,
      start,
      bytes: part.length === blockBytes && isZero(part)
        ? zeros(blockBytes)
        : part,
      settled: false,
      abandoned: false,
    });
  }
  return units;
}

/** The parts of a write of zeros, one for each block. */
export function zeroUnits(
  position: number,
  length: number,
  blockBytes: number,
): FileUnit[] {
  const end = position + length;
  return Array.from(blocksOf(position, length, blockBytes), (block) => {
    const first = block * blockBytes;
    const start = Math.max(0, position - first);
    const bytes = zeros(blockBytes).subarray(
      start,
      Math.min(blockBytes, end - first),
    );
    return {
      kind: "block",
      block,
      start,
      bytes: bytes.length === blockBytes ? zeros(blockBytes) : bytes,
      settled: false,
      abandoned: false,
    };
  });
}

/** A change of the size, or of the space that is taken. */
export function sizeUnit(
  kind: "size" | "truncate" | "preallocate",
  length: number,
  position = 0,
): FileUnit {
  const state = { settled: false, abandoned: false };
  return kind === "preallocate"
    ? { kind, position, length, ...state }
    : { kind, length, ...state };
}

function applyUnit(contents: Contents, unit: FileUnit): void {
  switch (unit.kind) {
    case "block":
      return contents.patch(unit.block, unit.start, unit.bytes);
    case "size":
      return contents.grow(unit.length);
    case "truncate":
      return contents.cut(unit.length);
    case "preallocate":
      return contents.allocate(unit.position, unit.length);
  }
}

function covers(
  later: FileUnit & { kind: "block" },
  earlier: FileUnit & { kind: "block" },
): boolean {
  return later.start <= earlier.start &&
    later.start + later.bytes.length >= earlier.start + earlier.bytes.length;
}
