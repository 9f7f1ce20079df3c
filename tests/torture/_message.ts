/**
 * Messages that tell who appended them: a reader needs no memory of what was written to check
 * every byte.
 */
import { SeededRandom } from "@basalt/io/testing";

/** Who appended a message: the number of the life, and of the message in it. */
export interface Author {
  life: number;
  number: number;
  /**
   * How many messages of its batch follow it: a batch is there whole or not at all. @default {0}
   */
  following?: number;
}

/** Bytes of the author at the beginning of a payload. */
const AUTHOR_BYTES = 12;
/** No payload has as many bytes. */
export const PAYLOAD_LIMIT = AUTHOR_BYTES + 60_000;

/**
 * The payload of an author's message, mostly short, now and then larger than a block.
 *
 * @param place Where it is made, from the front, {@linkcode PAYLOAD_LIMIT} bytes; an array of
 * its own if not given.
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

/** The payloads of a batch of an author's messages, from this number. */
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

/** Where payloads are made only to be compared: a check leaves no garbage of their size. */
const expectedPlace = new Uint8Array(PAYLOAD_LIMIT);

/** The author that a payload names, if every byte is as that author's message has it. */
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
