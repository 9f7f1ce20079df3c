import type { Task } from "../base/mod.ts";
import { native } from "../native/mod.ts";
import { Descriptor, type OpenHow } from "./_descriptor.ts";
import { openByDeno } from "./_open_by_deno.ts";
import { openByNode } from "./_open_by_node.ts";

/**
 * Opens a path through Deno, which checks the permissions, and gives the library a duplicate of the
 * descriptor. Never waits for the other end of a FIFO.
 */
export function* openDescriptor(path: string, how: OpenHow): Task<Descriptor> {
  // Where the library cannot be used, nothing is opened or made.
  native();
  const file = (yield* openByDeno(path, how)) ?? (yield* openByNode(path, how));
  return new Descriptor(path, file);
}

/** Opens a directory, for `fsync(2)` and `flock(2)` of it. */
export function openDirectory(path: string): Task<Descriptor> {
  return openDescriptor(path, { read: true, directory: true });
}
