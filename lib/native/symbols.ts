/**
 * The symbol table: every export of the library, with the C names of its parameters.
 *
 * Only `u32`, `i32`, `f64` and `buffer` cross the border: no 64-bit integers (a number there falls
 * off V8's fast path) and no addresses.
 */
import { STATUS } from "./status.ts";
import { VERSION } from "./version.ts";

type Kind = "u32" | "i32" | "f64" | "buffer";

/** Declares an export that returns a status: 0 or more, or a negative code (`status.ts`). */
function call<const Parameters extends readonly Kind[]>(
  ...parameters: Parameters
): { readonly parameters: Parameters; readonly result: "i32" } {
  return { parameters, result: "i32" };
}

/** The exports by room, in the order of the Rust files, which the ABI number depends on. */
export const SYMBOLS = {
  basalt_abi: call(),
  // low, high
  basalt_isolate_begin: call("u32", "u32"),

  // source, source_length, lengths, lengths_count, bytes, bytes_length, context
  basalt_lay: call("buffer", "u32", "buffer", "u32", "buffer", "u32", "buffer"),
  // bytes, bytes_length, context
  basalt_seal: call("buffer", "u32", "buffer"),
  // bytes, bytes_length, results, capacity, context
  basalt_scan: call("buffer", "u32", "buffer", "u32", "buffer"),
  // bytes, bytes_length, start, min_offset, max_offset, out
  basalt_find: call("buffer", "u32", "u32", "f64", "f64", "buffer"),
  // bytes, bytes_length
  basalt_nonzero_end: call("buffer", "u32"),
  // bytes, bytes_length, start, partition_id, keeps_producers
  basalt_restamp: call("buffer", "u32", "u32", "f64", "u32"),

  // source, source_length, target, target_length, context
  basalt_legacy_gather: call("buffer", "u32", "buffer", "u32", "buffer"),
  // source, source_length, target, target_length, index, index_length, context
  basalt_legacy_expand: call(
    "buffer",
    "u32",
    "buffer",
    "u32",
    "buffer",
    "u32",
    "buffer",
  ),
  // bytes, bytes_length, start, min_offset, max_offset, out
  basalt_legacy_find: call("buffer", "u32", "u32", "f64", "f64", "buffer"),

  // kind, out
  basalt_engine_open: call("u32", "buffer"),
  // backend
  basalt_engine_close: call("u32"),
  // backend, entries, entry_count, out, capacity, min, limit_micros
  basalt_engine_turn: call(
    "u32",
    "buffer",
    "u32",
    "buffer",
    "u32",
    "u32",
    "u32",
  ),
  // backend, entries, entry_count, out
  basalt_engine_batch: call("u32", "buffer", "u32", "buffer"),
  // entry, out
  basalt_engine_run: call("buffer", "buffer"),
  // backend, on
  basalt_engine_arm: call("u32", "u32"),
  // backend, timeout_ms
  basalt_engine_wait: { ...call("u32", "u32"), nonblocking: true },
  // backend
  basalt_engine_waits: call("u32"),

  // fd
  basalt_file_adopt: call("i32"),
  // device, inode, position
  basalt_file_find: call("f64", "f64", "f64"),
  // fd, position, direct
  basalt_file_adopt_at: call("i32", "f64", "u32"),
  // file
  basalt_file_close: call("u32"),
  // file, out, out_count
  basalt_file_probe: call("u32", "buffer", "u32"),
  // file, out
  basalt_file_free_bytes: call("u32", "buffer"),
  // file, position, length, out
  basalt_file_cachestat: call("u32", "f64", "f64", "buffer"),
  // file, position
  basalt_file_drop_cached: call("u32", "f64"),
  // file
  basalt_file_probe_uncached: call("u32"),
  // file, exclusive
  basalt_file_lock: call("u32", "u32"),
  // file
  basalt_file_is_locked: call("u32"),
  // file
  basalt_file_is_sole_opener: call("u32"),
  // out, out_length
  basalt_kernel_release: call("buffer", "u32"),

  // enabled, limit_bytes, bucket_capacity
  basalt_pool_open: call("u32", "f64", "u32"),
  // pool, out
  basalt_pool_attach: call("u32", "buffer"),
  // pool
  basalt_pool_close: call("u32"),
  // out
  basalt_pool_lease_address: call("buffer"),
  // pool, length, external
  basalt_pool_acquire: call("u32", "u32", "u32"),
  // pool, slot, generation
  basalt_pool_release: call("u32", "u32", "u32"),
  // pool, slot, generation
  basalt_pool_quarantine: call("u32", "u32", "u32"),
  // pool, counter, delta
  basalt_pool_count: call("u32", "u32", "i32"),
  // pool, out, out_count
  basalt_pool_stats: call("u32", "buffer", "u32"),
  // pool
  basalt_pool_trim: call("u32"),
} as const satisfies Deno.ForeignLibraryInterface;

/** The typed functions over {@linkcode SYMBOLS}. */
export type NativeFunctions = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * FNV-1a over the version, the status codes and the signatures, as `rust/src/ffi/abi.rs` computes
 * it over its own.
 */
export function abiNumber(
  version: string = VERSION,
  statuses: Readonly<Record<string, number>> = STATUS,
  symbols: Readonly<Record<string, { parameters: readonly unknown[] }>> =
    SYMBOLS,
): number {
  const codes = Object.entries(statuses).map(([name, code]) =>
    `${name}=${code};`.toLowerCase()
  );
  const signatures = Object.entries(symbols).map(([name, { parameters }]) =>
    `${name}(${parameters.map((kind) => `${kind},`).join("")});`
  );
  const text = version + codes.join("") + signatures.join("");
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash & 0x7fffffff;
}
