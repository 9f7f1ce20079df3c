const PATTERN =
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Parses a UUID such as `"00112233-4455-4677-8899-aabbccddeeff"`, of any version and in either
 * case, into its 16 bytes in the order of the text (RFC 9562).
 *
 * @throws {SyntaxError} If the text is not a UUID.
 *
 * @example Usage
 * ```ts
 * import { formatUuid, parseUuid } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const id = parseUuid("00112233-4455-4677-8899-aabbccddeeff");
 * assertEquals(id[15], 0xff);
 * assertEquals(formatUuid(id), "00112233-4455-4677-8899-aabbccddeeff");
 * ```
 */
export function parseUuid(text: string): Uint8Array<ArrayBuffer> {
  if (!PATTERN.test(text)) {
    throw new SyntaxError(
      `Cannot parse UUID as it must be 32 hexadecimal digits in groups of 8-4-4-4-12: received ${
        JSON.stringify(text)
      }`,
    );
  }
  return Uint8Array.fromHex(text.replaceAll("-", ""));
}

/**
 * Formats the UUID whose 16 bytes begin at `start`, in lower case.
 *
 * @param start The first byte; 0 if not given.
 * @throws {RangeError} If fewer than 16 bytes follow.
 *
 * @example Usage
 * ```ts
 * import { formatUuid } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const text = formatUuid(new Uint8Array(16).fill(0xab));
 * assertEquals(text, "abababab-abab-abab-abab-abababababab");
 * ```
 */
export function formatUuid(bytes: Uint8Array, start = 0): string {
  if (!(start >= 0 && start + 16 <= bytes.length)) {
    throw new RangeError(
      `Cannot format UUID at ${start} as its 16 bytes must lie within the bytes: there are ${bytes.length}`,
    );
  }
  const hex = bytes.subarray(start, start + 16).toHex();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${
    hex.slice(16, 20)
  }-${hex.slice(20)}`;
}
