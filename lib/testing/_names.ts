import { failure } from "../storage/parts.ts";
import type { Inode } from "./_inode.ts";
import { type Unit, UnsyncedState } from "./_unsynced_state.ts";

/**
 * The kernel's greatest lengths of a name and of a path, in bytes, the path's with its NUL
 * (`limits.h`).
 */
const NAME_MAX = 255;
const PATH_MAX = 4096;

/** Stands for a directory in the table of names: it has no contents. */
export const DIRECTORY = "directory";

/** A file or a directory. */
export type Node = Inode | typeof DIRECTORY;

/** The location that a path leads to; the directory that holds its last part exists. */
export interface Place {
  /** From the root. */
  readonly at: string;
  /** The last part; empty if the path is `/`. */
  readonly name: string;
  /** The file or directory, if it exists. */
  readonly node: Node | undefined;
  /** Whether a slash follows the last part: only a directory may have one. */
  readonly slashed: boolean;
}

/** A change of names that a power cut keeps or loses as a whole. */
export interface NameUnit extends Unit {
  readonly kind: "create" | "remove" | "rename";
  readonly path: string;
  /** The new name of a rename, otherwise the same. */
  readonly to: string;
  readonly node: Node;
  /** The directories that must still be synced before it is durable. */
  readonly waitsFor: Set<string>;
}

/** All names of the disk by absolute path, except `/`, and which of them are durable. */
export class Names extends UnsyncedState<Map<string, Node>, NameUnit> {
  /** Makes a table whose names are durable. */
  constructor(
    durable: Map<string, Node> = new Map(),
    current: Map<string, Node> = new Map(durable),
  ) {
    super(durable, current);
  }

  /** Returns the file or directory with a path. */
  get(path: string): Node | undefined {
    return path === "/" ? DIRECTORY : this.current.get(path);
  }

  /** Returns all paths, in order. */
  paths(): string[] {
    return [...this.current.keys()].sort();
  }

  /** Returns the names within a directory, in order. */
  within(directory: string): string[] {
    const prefix = directory === "/" ? "/" : `${directory}/`;
    return this.paths().filter((path) =>
      path.startsWith(prefix) && !path.includes("/", prefix.length)
    ).map((path) => path.slice(prefix.length));
  }

  /**
   * Returns the file or directory that a path names, for a call that needs it to exist.
   *
   * @param named The path that the error names; of a rename the old one.
   */
  find(path: string, syscall: string, named = path): Node {
    const { name, node, slashed } = this.locate(path, syscall, named);
    checkName(name, syscall, named);
    if (node === undefined) throw failure("ENOENT", syscall, named);
    if (slashed && node !== DIRECTORY) throw failure("ENOTDIR", syscall, named);
    return node;
  }

  /**
   * Resolves a path as the kernel does, part by part (`path_resolution(7)`). Only the last part may
   * be missing.
   */
  locate(path: string, syscall: string, named = path): Place {
    const shown = path.toWellFormed();
    if (shown === "") throw failure("ENOENT", syscall, named);
    if (isLonger(shown, PATH_MAX - 1)) {
      throw failure("ENAMETOOLONG", syscall, named);
    }
    const parts = shown.split("/").filter((part) => part !== "");
    const name = parts.at(-1) ?? "";
    let at = "/";
    let node: Node | undefined = DIRECTORY;
    parts.forEach((part, i) => {
      if (node === undefined) throw failure("ENOENT", syscall, named);
      if (node !== DIRECTORY) throw failure("ENOTDIR", syscall, named);
      if (i < parts.length - 1) checkName(part, syscall, named);
      if (part === "..") at = parent(at);
      else if (part !== ".") at = at === "/" ? `/${part}` : `${at}/${part}`;
      node = this.get(at);
    });
    return { at, name, node, slashed: shown.endsWith("/") };
  }

  /** Adds a name durably, without an operation. */
  putDurably(path: string, node: Node): void {
    this.current.set(path, node);
    this.base.set(path, node);
  }

  /** Adds or removes the name of a node, or renames it to `to`. */
  put(kind: NameUnit["kind"], path: string, node: Node, to = path): void {
    const waitsFor = new Set([parent(path), parent(to)]);
    const state = { waitsFor, settled: false, abandoned: false };
    this.apply([{ kind, path, to, node, ...state }]);
  }

  /** Returns the changes that a sync of a directory makes durable if it begins now. */
  syncableIn(directory: string): NameUnit[] {
    return this.syncable().filter(({ waitsFor }) => waitsFor.has(directory));
  }

  /** Makes changes durable in one directory, which was synced. */
  settleIn(units: readonly NameUnit[], directory: string): void {
    for (const { waitsFor } of units) waitsFor.delete(directory);
    this.settle(units.filter(({ waitsFor }) => waitsFor.size === 0));
  }

  /** Returns the files that have a name. */
  files(): Inode[] {
    return [...this.current.values()].filter((node) => node !== DIRECTORY);
  }

  /** Returns every file that may have a name after a power cut, in order of number. */
  inodes(): Inode[] {
    const nodes = new Set(this.base.values());
    for (const { node } of this.units) nodes.add(node);
    return [...nodes].filter((node) => node !== DIRECTORY)
      .sort((a, b) => a.number - b.number);
  }

  /** Returns the names after a power cut that kept the chosen units. */
  after(chosen: (unit: NameUnit) => boolean): Map<string, Node> {
    const names = this.replayed((unit) => chosen(unit) ? unit : undefined);
    // A directory that is gone takes its names along.
    for (const path of [...names.keys()].sort()) {
      const above = parent(path);
      if (above !== "/" && !names.has(above)) names.delete(path);
    }
    return names;
  }

  /**
   * Returns a text that tells apart all tables that {@linkcode Names.after} can return; `numberOf`
   * stands for a node.
   */
  crashText(numberOf: (node: Node) => number): string {
    const names = [...this.base].map(([path, node]) => [path, numberOf(node)]);
    const units = this.units.map(({ kind, path, to, node, settled }) => [
      kind,
      path,
      to,
      numberOf(node),
      settled,
    ]);
    return JSON.stringify([names.sort(), units]);
  }

  /** Returns the same table with the same unsynced changes, over other nodes. */
  clone(copyOf: (node: Node) => Node): Names {
    const { base, current } = this;
    const copy = new Names(mapped(base, copyOf), mapped(current, copyOf));
    copy.units = this.units.map((unit) => ({
      ...unit,
      node: copyOf(unit.node),
      waitsFor: new Set(unit.waitsFor),
    }));
    return copy;
  }

  protected copyOf(names: Map<string, Node>): Map<string, Node> {
    return new Map(names);
  }

  protected change(names: Map<string, Node>, unit: NameUnit): void {
    if (unit.kind === "remove") {
      names.delete(unit.path);
      return;
    }
    // A file has one name: a rename may be durable while an earlier one is not.
    for (const [path, node] of names) {
      if (node !== DIRECTORY && node === unit.node) names.delete(path);
    }
    names.delete(unit.path);
    names.set(unit.to, unit.node);
  }

  protected commute(): boolean {
    return false;
  }

  protected covers(): boolean {
    return false;
  }
}

/** Checks that a name is not too long. */
export function checkName(name: string, syscall: string, named: string): void {
  if (isLonger(name, NAME_MAX)) throw failure("ENAMETOOLONG", syscall, named);
}

/** Returns whether the last part of a path is a name, so not `.`, `..` or empty. */
export function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== "..";
}

/** Returns the directory that holds an absolute path. */
export function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** Returns a path from the root without `.`, `..` and empty parts. A relative path begins there. */
export function absolute(path: string): string {
  const parts: string[] = [];
  for (const part of path.toWellFormed().split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Returns whether a text has more than `bytes` bytes in UTF-8. */
function isLonger(text: string, bytes: number): boolean {
  return text.length * 3 > bytes &&
    new TextEncoder().encode(text).length > bytes;
}

/** Returns the same names for other nodes. */
export function mapped(
  names: ReadonlyMap<string, Node>,
  copyOf: (node: Node) => Node,
): Map<string, Node> {
  return new Map([...names].map(([path, node]) => [path, copyOf(node)]));
}
