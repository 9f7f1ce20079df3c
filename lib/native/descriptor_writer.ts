import { systemError } from "./errors.ts";

const WRITE = {
  write: {
    parameters: ["i32", /* fd */ "buffer", /* bytes */ "usize" /* length */],
    result: "isize",
  },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * Writes to a descriptor of the process by `write(2)`.
 *
 * `Deno.stdout` may write a part of the bytes before it fails, and does not report how many. Here
 * nothing was written when a call throws.
 */
export class DescriptorWriter implements Disposable {
  readonly #fd: number;
  readonly #library: Deno.DynamicLibrary<typeof WRITE>;

  /** Opens the C library, which must be permitted. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#library = Deno.dlopen("libc.so.6", WRITE);
  }

  /**
   * Writes some of the bytes and returns how many.
   *
   * @throws {Deno.errors.WouldBlock} If the descriptor is non-blocking and has no room.
   */
  writeSync(bytes: Uint8Array): number {
    const { write, __errno_location } = this.#library.symbols;
    const length = BigInt(bytes.length);
    const written = write(this.#fd, bytes as Uint8Array<ArrayBuffer>, length);
    if (written >= 0n) return Number(written);
    const errno = new Deno.UnsafePointerView(__errno_location()!).getInt32();
    throw systemError(errno, "write");
  }

  /** Closes the C library, not the descriptor. */
  [Symbol.dispose](): void {
    this.#library.close();
  }
}
