import { nodeModule } from "./node_module.ts";

/**
 * A library inside a module: what `deno task embed` generates for each platform, in `embedded/`.
 */
export interface EmbeddedLibrary {
  /** SHA-256 of the library, in hexadecimal. */
  readonly sha256: string;
  /** The library's length in bytes. */
  readonly bytes: number;
  /** The library, compressed by gzip, in base64. */
  readonly gzip: string;
}

/**
 * The copy for this platform; `undefined` where none was generated.
 *
 * Importing is asynchronous, so it is done with this module. The library itself is loaded at its
 * first use, which may be in a synchronous function.
 */
export const EMBEDDED: EmbeddedLibrary | undefined = await importEmbedded();

async function importEmbedded(): Promise<EmbeddedLibrary | undefined> {
  try {
    switch (Deno.build.target) {
      case "x86_64-unknown-linux-gnu":
        // @ts-ignore: generated, so a checkout may be without it
        return (await import("./embedded/x86_64_unknown_linux_gnu.ts")).library;
      case "aarch64-unknown-linux-gnu":
        // @ts-ignore: generated, so a checkout may be without it
        return (await import("./embedded/aarch64_unknown_linux_gnu.ts"))
          .library;
    }
  } catch {
    // Not generated, or not available: the error of loading lists what was tried.
  }
  return undefined;
}

/**
 * Returns the library's bytes, unpacked and verified.
 *
 * @throws {Error} If they are not what was embedded.
 */
export function unpack(library: EmbeddedLibrary): Uint8Array<ArrayBuffer> {
  const packed = Uint8Array.fromBase64(library.gzip);
  const { gunzipSync } = nodeModule("node:zlib");
  const bytes = new Uint8Array(gunzipSync(packed));
  if (!isThis(library, bytes)) {
    throw new Error("the embedded copy is damaged: its SHA-256 is another");
  }
  return bytes;
}

/** Returns whether bytes are the library, by their length and SHA-256. */
export function isThis(library: EmbeddedLibrary, bytes: Uint8Array): boolean {
  if (bytes.length !== library.bytes) return false;
  const { createHash } = nodeModule("node:crypto");
  return createHash("sha256").update(bytes).digest("hex") === library.sha256;
}
