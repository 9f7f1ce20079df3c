import { driveSync } from "../base/mod.ts";
import type { Descriptor } from "./_descriptor.ts";
import { openDirectory } from "./_open_descriptor.ts";
import type { StorageLock } from "./storage.ts";

/** The lock of a directory, which it has open. */
export class DirectoryLock implements StorageLock {
  /** The open directory; `undefined` once the lock was released. */
  directory: Descriptor | undefined;

  private constructor(directory: Descriptor) {
    this.directory = directory;
  }

  /** Takes a lock; `undefined` while another holds it. */
  static take(path: string): DirectoryLock | undefined {
    using stack = new DisposableStack();
    const directory = stack.use(driveSync(openDirectory(path)));
    if (!directory.lock()) return undefined;
    stack.move();
    return new DirectoryLock(directory);
  }

  isAtPath(): boolean {
    return this.directory?.isAtPath() ?? false;
  }

  release(): void {
    this.directory?.[Symbol.dispose]();
    this.directory = undefined;
  }
}
