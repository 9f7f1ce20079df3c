/**
 * A naive model of what a disk may hold after a power cut. It lists everything that happened, and
 * repeats it from an empty disk.
 */

/** Identifies a unit for a choice, by nothing that the tested disk could invent. */
export interface UnitKey {
  kind: string;
  path?: string;
  to?: string;
  position?: number;
  length?: number;
}

/** A file, by identity. */
export class NaiveFile {}

/** The bytes on the medium, including those after the size. */
interface Medium {
  bytes: number[];
  size: number;
}

interface State {
  names: Map<string, NaiveFile>;
  contents: Map<NaiveFile, Medium>;
}

interface Happening {
  key: UnitKey;
  /** The file whose contents changed, or `undefined` for names. */
  file: NaiveFile | undefined;
  /** The directories whose sync makes a change of names durable. */
  waits: Set<string>;
  /** Whether it failed. Then it is not visible, but may be there after a crash. */
  failed: boolean;
  /** Whether it is there even if it is not chosen. */
  durable: boolean;
  /** Whether no later sync makes it durable. */
  abandoned: boolean;
  apply(state: State): void;
}

/** A disk whose directories are durable. */
export class NaiveDisk {
  readonly #blockBytes: number;
  readonly #happenings: Happening[] = [];

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes;
  }

  /** Returns the file that has a name now. */
  file(path: string): NaiveFile | undefined {
    return this.#replay((each) => !each.failed).names.get(path);
  }

  /** Writes bytes of one value, which are lost at a crash, durable, or refused with an error. */
  write(
    file: NaiveFile,
    position: number,
    length: number,
    value: number,
    outcome: "lost" | "durable" | "failed",
  ): void {
    const unit = this.#blockBytes;
    const end = position + length;
    for (let at = position; at < end; at = at - at % unit + unit) {
      const stop = Math.min(end, at - at % unit + unit);
      const key = { kind: "block", position: at, length: stop - at };
      this.#change(key, file, outcome, (medium) => {
        for (let i = at; i < stop; i++) medium.bytes[i] = value;
      });
    }
    if (end > this.#size(file) || outcome === "durable") {
      this.#change({ kind: "size", length: end }, file, outcome, (medium) => {
        medium.size = Math.max(medium.size, end);
      });
    }
  }

  truncate(file: NaiveFile, length: number): void {
    this.#change({ kind: "truncate", length }, file, "lost", (medium) => {
      medium.bytes = medium.bytes.slice(0, length);
      medium.size = length;
    });
  }

  preallocate(file: NaiveFile, position: number, length: number): void {
    const key = { kind: "preallocate", position, length };
    this.#change(key, file, "lost", (medium) => {
      medium.size = Math.max(medium.size, position + length);
    });
  }

  sync(file: NaiveFile, fails: boolean): void {
    for (const each of this.#happenings) {
      if (each.file !== file || each.durable || each.abandoned) continue;
      if (fails) each.abandoned = true;
      else each.durable = true;
    }
  }

  create(path: string): void {
    const file = new NaiveFile();
    this.#rename({ kind: "create", path }, path, path, file);
  }

  rename(path: string, to: string): void {
    if (path === to) return;
    this.#rename({ kind: "rename", path, to }, path, to, this.file(path)!);
  }

  remove(path: string): void {
    this.#happen({ kind: "remove", path }, [path], ({ names }) => {
      names.delete(path);
    });
  }

  syncDirectory(path: string, fails: boolean): void {
    for (const each of this.#happenings) {
      if (each.durable || each.abandoned || !each.waits.has(path)) continue;
      if (fails) {
        each.abandoned = true;
      } else {
        each.waits.delete(path);
        each.durable = each.waits.size === 0;
      }
    }
  }

  /** Returns the files after a power cut that left the durable and the chosen units. */
  after(chosen: (key: UnitKey) => boolean): Record<string, number[]> {
    const { names, contents } = this.#replay((each) =>
      each.durable || chosen(each.key)
    );
    const found: Record<string, number[]> = {};
    for (const [path, file] of names) {
      const { bytes, size } = contents.get(file) ?? { bytes: [], size: 0 };
      found[path] = Array.from({ length: size }, (_, i) => bytes[i] ?? 0);
    }
    return found;
  }

  #size(file: NaiveFile): number {
    const { contents } = this.#replay((each) => !each.failed);
    return contents.get(file)?.size ?? 0;
  }

  #replay(which: (happening: Happening) => boolean): State {
    const state: State = { names: new Map(), contents: new Map() };
    for (const each of this.#happenings.filter(which)) each.apply(state);
    return state;
  }

  #rename(key: UnitKey, path: string, to: string, file: NaiveFile): void {
    this.#happen(key, [path, to], ({ names }) => {
      for (const [name, other] of names) {
        if (other === file) names.delete(name);
      }
      names.delete(path);
      names.set(to, file);
    });
  }

  #happen(key: UnitKey, paths: string[], apply: (state: State) => void): void {
    this.#happenings.push({
      key,
      file: undefined,
      waits: new Set(
        paths.map((path) => path.slice(0, path.lastIndexOf("/")) || "/"),
      ),
      failed: false,
      durable: false,
      abandoned: false,
      apply,
    });
  }

  #change(
    key: UnitKey,
    file: NaiveFile,
    outcome: "lost" | "durable" | "failed",
    change: (medium: Medium) => void,
  ): void {
    this.#happenings.push({
      key,
      file,
      waits: new Set(),
      failed: outcome === "failed",
      durable: outcome === "durable",
      abandoned: outcome === "failed",
      apply({ contents }) {
        const medium = contents.get(file) ?? { bytes: [], size: 0 };
        change(medium);
        contents.set(file, medium);
      },
    });
  }
}
