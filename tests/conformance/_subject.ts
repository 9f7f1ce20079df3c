/** A storage under test, and how to call it so that the results of two storages can be compared. */
import { BufferPool } from "../../lib/pool/mod.ts";
import {
  type Capabilities,
  DiskStorage,
  type Storage,
} from "../../lib/storage/mod.ts";
import {
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "../../lib/testing/mod.ts";
import { FILES } from "../permissions.ts";

/** Whether calls are async or sync. */
export type Mode = "async" | "sync";

export const MODES: readonly Mode[] = ["async", "sync"];

/** The result of a call: a value, or what identifies an error. */
export type Answer<T = unknown> = { value: T } | {
  error: string;
  code: unknown;
  syscall: unknown;
  path: unknown;
  requestedBytes?: unknown;
  writtenBytes?: unknown;
  message: string;
};

/** The operations of a type that have a sync version. */
export type Paired<T> = {
  [K in keyof T]: K extends string ? `${K}Sync` extends keyof T ? K : never
    : never;
}[keyof T];

type Arguments<T, K extends keyof T> = T[K] extends
  (...given: infer A) => unknown ? A : never;
type Result<T, K extends keyof T> = T[K] extends (...given: never[]) => infer R
  ? Awaited<R>
  : never;

/** A storage with an empty directory. */
export class Subject implements Disposable {
  readonly pool: BufferPool = new BufferPool();
  readonly storage: Storage;
  /** The directory. */
  readonly root: string;
  /** The capabilities of files there. */
  readonly capabilities: Capabilities;
  readonly #mode: Mode;
  readonly #remove: () => void;

  constructor(
    storage: Storage,
    root: string,
    mode: Mode,
    remove: () => void = () => {},
  ) {
    this.storage = storage;
    this.root = root;
    this.#mode = mode;
    this.#remove = remove;
    const probe = storage.openSync(`${root}/probe`, {
      write: true,
      createNew: true,
    });
    this.capabilities = probe.capabilities;
    probe.closeSync();
    storage.removeSync(`${root}/probe`);
  }

  /** Makes an async or sync call of an operation. Throws what it throws. */
  async call<T, K extends Paired<T> & string>(
    target: T,
    operation: K,
    ...given: Arguments<T, K>
  ): Promise<Result<T, K>> {
    const name = this.#mode === "async" ? operation : `${operation}Sync`;
    const method = (target as Record<string, (...given: unknown[]) => unknown>)[
      name
    ]!;
    const answer = method.apply(target, given);
    if (this.#mode === "async" && !(answer instanceof Promise)) {
      throw new TypeError(`'${operation}' did not return a promise`);
    }
    return await answer as Result<T, K>;
  }

  /**
   * Makes an async or sync call of an operation, and returns errors as results. A promise may
   * reject, but the call must not throw.
   */
  ask<T, K extends Paired<T> & string>(
    target: T,
    operation: K,
    ...given: Arguments<T, K>
  ): Promise<Answer<Result<T, K>>> {
    return answerOf(() => this.call(target, operation, ...given));
  }

  [Symbol.dispose](): void {
    this.#remove();
    const { inUseBytes } = this.pool.stats();
    this.pool.close();
    if (inUseBytes !== 0) throw new Error(`${inUseBytes} bytes still in use`);
  }
}

/** Returns the result of a call, or its error in comparable form. */
export async function answerOf<T>(
  run: () => T | Promise<T>,
): Promise<Answer<T>> {
  try {
    return { value: await run() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const fields = error as unknown as Record<string, unknown>;
    const numbers = "writtenBytes" in fields
      ? {
        requestedBytes: fields["requestedBytes"],
        writtenBytes: fields["writtenBytes"],
      }
      : {};
    return {
      error: error.constructor.name,
      code: fields["code"],
      syscall: fields["syscall"],
      path: fields["path"],
      ...numbers,
      message: error.message,
    };
  }
}

/** How a storage under test is made. */
export interface SubjectKind {
  readonly name: string;
  make(mode: Mode): Subject;
}

function disk(direct: "prefer" | "never"): SubjectKind {
  return {
    name: `DiskStorage (${direct})`,
    make(mode) {
      const root = Deno.makeTempDirSync({ prefix: "basalt_conformance_" });
      return new Subject(
        new DiskStorage({ direct }),
        root,
        mode,
        () => Deno.removeSync(root, { recursive: true }),
      );
    },
  };
}

/**
 * Makes a simulated disk whose files have the capabilities of another subject, at the same path.
 */
export function simulatedLike(other: Subject, mode: Mode): Subject {
  return simulated(other.root, mode, other.capabilities);
}

function simulated(
  root: string,
  mode: Mode,
  options: SimulatedDiskOptions = {},
): Subject {
  const storage = new SimulatedDisk({ seed: 5, ...options });
  storage.makeDirectorySync(root);
  return new Subject(storage, root, mode);
}

/** The real storages that this run may use. There are none without permissions for files. */
export const DISKS: readonly SubjectKind[] = FILES
  ? [disk("prefer"), disk("never")]
  : [];

/**
 * One disk for each of async and sync calls, for slow tests of what holds for every path and
 * operand.
 */
export const PAIRS: readonly (readonly [SubjectKind, Mode])[] = DISKS.map((
  kind,
  i,
) => [kind, MODES[i]!]);

/** Every storage that must behave the same. */
export const SUBJECTS: readonly SubjectKind[] = [
  ...DISKS,
  {
    name: "SimulatedDisk (512-byte sectors)",
    make: (mode) => simulated("/root/of/test", mode),
  },
  {
    name: "SimulatedDisk (any alignment)",
    make: (mode) =>
      simulated("/root/of/test", mode, {
        memoryAlignment: 1,
        offsetAlignment: 1,
        readOffsetAlignment: 1,
      }),
  },
  {
    name: "SimulatedDisk (a device that writes zeros)",
    make: (mode) => simulated("/root/of/test", mode, { writesZeros: true }),
  },
];
