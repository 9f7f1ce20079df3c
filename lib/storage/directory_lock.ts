import { driveSync } from "../base/mod.ts";
import { isAtPath } from "./at_path.ts";
import {
  closeDescriptor,
  lockDescriptor,
  openDirectory,
} from "./descriptor.ts";
import type { StorageLock } from "./storage.ts";

/** The lock of a directory, which it has open. */
export class DirectoryLock implements StorageLock {
  readonly path: string;
  #file: number | undefined;

  private constructor(path: string, file: number) {
    this.path = path;
    this.#file = file;
  }

  /** Takes a lock; `undefined` while another holds it. */
  static take(path: string): DirectoryLock | undefined {
    const file = driveSync(openDirectory(path));
    let isHeld = false;
    try {
      isHeld = lockDescriptor(file, path);
      return isHeld ? new DirectoryLock(path, file) : undefined;
    } finally {
      if (!isHeld) closeDescriptor(file);
    }
  }

  /** The open directory; `undefined` once the lock was released. */
  get file(): number | undefined {
    return this.#file;
  }

  isAtPath(): boolean {
    return this.#file !== undefined && isAtPath(this.#file, this.path);
  }

  release(): void {
    if (this.#file !== undefined) closeDescriptor(this.#file);
    this.#file = undefined;
  }
}
