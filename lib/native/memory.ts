/**
 * Makes an `ArrayBuffer` over native memory. It is detachable: `transfer()` makes it and its views
 * empty without touching the memory.
 *
 * @param words The address as two `u32` words, low then high.
 * @param start Bytes from that address to the first byte of the buffer.
 * @param length Bytes.
 */
export function nativeBuffer(
  words: readonly [low: number, high: number],
  start: number,
  length: number,
): ArrayBuffer {
  const address = (BigInt(words[1]) << 32n | BigInt(words[0])) + BigInt(start);
  const pointer = Deno.UnsafePointer.create(address);
  if (pointer === null) throw new TypeError("Cannot view memory at address 0");
  return Deno.UnsafePointerView.getArrayBuffer(pointer, length);
}
