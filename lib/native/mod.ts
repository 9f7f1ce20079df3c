/**
 * The only room that says `Deno.dlopen` or `Deno.Unsafe*`: the symbol table, loading, and what a
 * status means.
 *
 * @module
 */
export { DescriptorWriter } from "./descriptor_writer.ts";
export { environment } from "./environment.ts";
export { checked, errnoName, statusError, systemError } from "./errors.ts";
export { beforeIsolateEnds } from "./isolate.ts";
export { checkPlatform, loadLibrary, native } from "./library.ts";
export type {
  LibraryOrigin,
  LoadedLibrary,
  LoadLibraryOptions,
} from "./library.ts";
export { nativeBuffer } from "./memory.ts";
export { nodeModule } from "./node_module.ts";
export { STATUS } from "./status.ts";
export type { NativeFunctions } from "./symbols.ts";
export { UnsupportedError } from "./unsupported_error.ts";
export { VERSION } from "./version.ts";
