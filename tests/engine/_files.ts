import { checked, native } from "../../lib/native/mod.ts";
import { closeSync, constants, openSync } from "node:fs";

/**
 * Opens a file as the storage does: through Deno, then with a duplicate of the descriptor for the
 * library.
 */
export class Adopted implements Disposable {
  readonly handle: number;

  constructor(path: string, flags: number = constants.O_RDWR) {
    const fd = openSync(path, flags | constants.O_CREAT, 0o600);
    try {
      this.handle = checked(native().basalt_file_adopt(fd), "adopt", path);
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    native().basalt_file_close(this.handle);
  }
}

/** A directory that is removed at the end of its block. */
export class TemporaryDirectory implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "basalt-engine-" });

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Returns bytes in which any two pages differ. */
export function pattern(length: number, seed = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 + 1 >>> 0;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
