import { BufferPool } from "../../lib/pool/mod.ts";
import {
  DirectFile,
  type DirectFileOptions,
  type Tier,
} from "../../lib/storage/mod.ts";
import { FILES } from "../permissions.ts";

/** A directory for files of a test. It is removed with its contents. */
export class TemporaryDirectory implements Disposable {
  readonly path: string;

  constructor(options: Deno.MakeTempOptions = {}) {
    this.path = Deno.makeTempDirSync({ prefix: "basalt_storage_", ...options });
  }

  /** Returns the path of a name in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** A place for files, and how to open them there. */
export interface Place {
  name: string;
  options: DirectFileOptions;
  directory: Deno.MakeTempOptions;
}

function isDirectory(path: string): boolean {
  try {
    return FILES && Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** Returns the tier that a place gives with `direct: "prefer"`. */
function preferredTier(directory: Deno.MakeTempOptions): Tier {
  using dir = new TemporaryDirectory(directory);
  using file = DirectFile.openSync(dir.file("x"), {
    write: true,
    createNew: true,
  });
  return file.capabilities.tier;
}

/** Whether files in the usual temporary directory can be direct. */
export const DIRECT: boolean = FILES && preferredTier({}) === "direct";

/** A directory in memory, where O_DIRECT is accepted and ignored (Linux 6.6) or refused. */
export const MEMORY = "/dev/shm";

/** Whether the machine has it. */
export const HAS_MEMORY: boolean = isDirectory(MEMORY);

/** The places that the machine has. */
export const PLACES: Place[] = [
  ...(DIRECT
    ? [{
      name: "direct",
      options: { direct: "require" as const },
      directory: {},
    }]
    : []),
  { name: "never", options: { direct: "never" }, directory: {} },
  ...(HAS_MEMORY
    ? [{ name: "memory", options: {}, directory: { dir: MEMORY } }]
    : []),
];

/** A pool that ends with the test. It fails if a block is still leased then. */
export class TestPool extends BufferPool {
  override [Symbol.dispose](): void {
    const { inUseBytes } = this.stats();
    super[Symbol.dispose]();
    if (inUseBytes !== 0) throw new Error(`${inUseBytes} bytes still in use`);
  }
}
