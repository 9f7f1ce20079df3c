/**
 * The symbol table: every export of the library, with the C names of its parameters.
 *
 * Only `u32`, `i32`, `f64` and `buffer` cross the border: no 64-bit integers (a number there falls
 * off V8's fast path) and no addresses.
 */
import { STATUS } from "./status.ts";
import { VERSION } from "./version.ts";

/** Every export returns a status: a value of zero or more, or a negative code (`status.ts`). */
const status = "i32";

/** The exports by room, in the order of the Rust files, which the ABI number depends on. */
export const SYMBOLS = {
  basalt_abi: { parameters: [], result: status },
  basalt_isolate_begin: {
    parameters: ["u32", /* low */ "u32" /* high */],
    result: status,
  },

  basalt_lay: {
    parameters: [
      "buffer", // source
      "u32", // source_length
      "buffer", // lengths
      "u32", // lengths_count
      "buffer", // bytes
      "u32", // bytes_length
      "buffer", // context
    ],
    result: status,
  },
  basalt_seal: {
    parameters: [
      "buffer", // bytes
      "u32", // bytes_length
      "buffer", // context
    ],
    result: status,
  },
  basalt_scan: {
    parameters: [
      "buffer", // bytes
      "u32", // bytes_length
      "buffer", // results
      "u32", // capacity
      "buffer", // context
    ],
    result: status,
  },
  basalt_find: {
    parameters: [
      "buffer", // bytes
      "u32", // bytes_length
      "u32", // start
      "f64", // min_offset
      "f64", // max_offset
      "buffer", // out
    ],
    result: status,
  },
  basalt_restamp: {
    parameters: [
      "buffer", // bytes
      "u32", // bytes_length
      "u32", // start
      "f64", // partition_id
      "u32", // keeps_producers
    ],
    result: status,
  },

  basalt_legacy_gather: {
    parameters: [
      "buffer", // source
      "u32", // source_length
      "buffer", // target
      "u32", // target_length
      "buffer", // context
    ],
    result: status,
  },
  basalt_legacy_expand: {
    parameters: [
      "buffer", // source
      "u32", // source_length
      "buffer", // target
      "u32", // target_length
      "buffer", // index
      "u32", // index_length
      "buffer", // context
    ],
    result: status,
  },
  basalt_legacy_scan: {
    parameters: [
      "buffer", // bytes
      "u32", // bytes_length
      "u32", // start
      "f64", // expected_offset
      "u32", // max_count
      "buffer", // starts
      "buffer", // lengths
      "buffer", // out
    ],
    result: status,
  },
  basalt_legacy_find: {
    parameters: [
      "buffer", // bytes
      "u32", // bytes_length
      "u32", // start
      "f64", // min_offset
      "f64", // max_offset
      "buffer", // out
    ],
    result: status,
  },

  basalt_engine_open: {
    parameters: ["u32", /* kind */ "buffer" /* out */],
    result: status,
  },
  basalt_engine_close: { parameters: ["u32" /* backend */], result: status },
  basalt_engine_turn: {
    parameters: [
      "u32", // backend
      "buffer", // entries
      "u32", // entry_count
      "buffer", // out
      "u32", // capacity
      "u32", // min
      "u32", // limit_micros
    ],
    result: status,
  },
  basalt_engine_batch: {
    parameters: [
      "u32", // backend
      "buffer", // entries
      "u32", // entry_count
      "buffer", // out
    ],
    result: status,
  },
  basalt_engine_run: {
    parameters: ["buffer", /* entry */ "buffer" /* out */],
    result: status,
  },
  basalt_engine_arm: {
    parameters: ["u32", /* backend */ "u32" /* on */],
    result: status,
  },
  basalt_engine_wait: {
    parameters: ["u32", /* backend */ "u32" /* timeout_ms */],
    result: status,
    nonblocking: true,
  },
  basalt_engine_waits: { parameters: ["u32" /* backend */], result: status },

  basalt_file_adopt: { parameters: ["i32" /* fd */], result: status },
  basalt_file_find: {
    parameters: ["f64", /* device */ "f64", /* inode */ "f64" /* position */],
    result: status,
  },
  basalt_file_adopt_at: {
    parameters: ["i32", /* fd */ "f64", /* position */ "u32" /* direct */],
    result: status,
  },
  basalt_file_close: { parameters: ["u32" /* file */], result: status },
  basalt_file_probe: {
    parameters: ["u32", /* file */ "buffer", /* out */ "u32" /* out_count */],
    result: status,
  },
  basalt_file_free_bytes: {
    parameters: ["u32", /* file */ "buffer" /* out */],
    result: status,
  },
  basalt_file_cachestat: {
    parameters: [
      "u32", // file
      "f64", // position
      "f64", // length
      "buffer", // out
    ],
    result: status,
  },
  basalt_file_drop_cached: {
    parameters: ["u32", /* file */ "f64" /* position */],
    result: status,
  },
  basalt_file_probe_uncached: {
    parameters: ["u32" /* file */],
    result: status,
  },
  basalt_file_lock: {
    parameters: ["u32", /* file */ "u32" /* exclusive */],
    result: status,
  },
  basalt_file_is_locked: {
    parameters: ["u32" /* file */],
    result: status,
  },
  basalt_file_is_sole_opener: {
    parameters: ["u32" /* file */],
    result: status,
  },
  basalt_kernel_release: {
    parameters: ["buffer", /* out */ "u32" /* out_length */],
    result: status,
  },

  basalt_pool_open: {
    parameters: [
      "u32", // enabled
      "f64", // limit_bytes
      "u32", // bucket_capacity
    ],
    result: status,
  },
  basalt_pool_attach: {
    parameters: ["u32", /* pool */ "buffer" /* out */],
    result: status,
  },
  basalt_pool_close: { parameters: ["u32" /* pool */], result: status },
  basalt_pool_lease_address: {
    parameters: ["buffer" /* out */],
    result: status,
  },
  basalt_pool_acquire: {
    parameters: ["u32", /* pool */ "u32", /* length */ "u32" /* external */],
    result: status,
  },
  basalt_pool_release: {
    parameters: ["u32", /* pool */ "u32", /* slot */ "u32" /* generation */],
    result: status,
  },
  basalt_pool_quarantine: {
    parameters: ["u32", /* pool */ "u32", /* slot */ "u32" /* generation */],
    result: status,
  },
  basalt_pool_count: {
    parameters: ["u32", /* pool */ "u32", /* counter */ "i32" /* delta */],
    result: status,
  },
  basalt_pool_stats: {
    parameters: ["u32", /* pool */ "buffer", /* out */ "u32" /* out_count */],
    result: status,
  },
  basalt_pool_trim: { parameters: ["u32" /* pool */], result: status },
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
