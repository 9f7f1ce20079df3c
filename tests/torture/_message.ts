/**
 * Messages that identify their author, so that a reader can check every byte without a record of
 * what was written.
 */
import { SeededRandom } from "@basalt/io/testing";

/** The author of a message: the number of the run, and of the message in it. */
export interface Author {
  life: number;
  number: number;
  /**
   * How many messages of its batch follow it. A batch is there whole or not at all. @default {0}
   */
  following?: number;
}

/** Bytes of the author at the start of a payload. */
const AUTHOR_BYTES = 12;
/** Every payload is shorter than this, in bytes. */
export const PAYLOAD_LIMIT = AUTHOR_BYTES + 60_000;

/**
 * Returns the payload of an author's message, usually short and sometimes larger than a block.
 *
 * @param place Array of {@linkcode PAYLOAD_LIMIT} bytes in which the payload is made. A new array
 * if not given.
 */
export function makePayload(
  { life, number, following = 0 }: Author,
  place?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const random = new SeededRandom(life * 1_000_003 + number);
  const length = AUTHOR_BYTES +
    random.below(
      random.chance(0.03) ? 60_000 : random.chance(0.2) ? 5000 : 300,
    );
  const bytes = random.fill(
    place?.subarray(0, length) ?? new Uint8Array(length),
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, life, true);
  view.setUint32(4, number, true);
  view.setUint32(8, following, true);
  return bytes;
}

/** Returns the payloads of a batch of an author's messages, from this number on. */
export function makeBatch(
  { life, number }: Author,
  count: number,
): Uint8Array<ArrayBuffer>[] {
  return Array.from(
    { length: count },
    (_, i) =>
      makePayload({ life, number: number + i, following: count - 1 - i }),
  );
}

/**
 * Memory for payloads that are only compared, so that a check produces no garbage of their size.
 */
const expectedPlace = new Uint8Array(PAYLOAD_LIMIT);

/** Returns the author of a payload if every byte of it is as that author's message has it. */
export function authorOf(
  payload: Uint8Array,
): Required<Author> | undefined {
  if (payload.length < AUTHOR_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, AUTHOR_BYTES);
  const author = {
    life: view.getUint32(0, true),
    number: view.getUint32(4, true),
    following: view.getUint32(8, true),
  };
  const expected = makePayload(author, expectedPlace);
  const same = expected.length === payload.length &&
    expected.every((byte, i) => byte === payload[i]);
  return same ? author : undefined;
}
