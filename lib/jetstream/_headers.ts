import { headers, type MsgHdrs } from "@nats-io/nats-core";
import type { Message, UserHeader } from "../codec/mod.ts";

/** The identity of the log. */
export const LOG_HEADER = "Basalt-Log";
/** The offset in the log. */
export const OFFSET_HEADER = "Basalt-Offset";

/** A name that NATS takes: printable ASCII without a colon. */
const LEGAL_NAME = /^[!-9;-~]+$/;
/** Names that mean something to the server, or to this module. */
const RESERVED_NAME = /^(nats|basalt)-/i;
/** Values that would be cut or would end the header: NATS trims them. */
const ILLEGAL_VALUE = /^\s|\s$|[\r\n]/;

/**
 * Makes the NATS headers of a message.
 *
 * @param leftOut Receives the name of each text or number that cannot be a NATS header.
 */
export function natsHeaders(
  message: Message,
  identity: string,
  leftOut: (name: string) => void,
): MsgHdrs {
  const made = headers();
  made.set(LOG_HEADER, identity);
  made.set(OFFSET_HEADER, String(message.offset));
  for (const { key, value } of message.userHeaders) {
    if (value.kind === "raw" || value.kind === "bool") continue;
    const name = String(key.value);
    const text = String(value.value);
    const isLegal = key.kind === "string" && LEGAL_NAME.test(name) &&
      !RESERVED_NAME.test(name) && !ILLEGAL_VALUE.test(text);
    if (isLegal) made.set(name, text);
    else leftOut(name);
  }
  return made;
}

/** Returns the NATS headers of a message that are not the server's or this module's. */
export function userHeadersOf(made: MsgHdrs | undefined): UserHeader[] {
  const found: UserHeader[] = [];
  for (const [name, values] of made ?? []) {
    const value = values.at(-1) ?? "";
    // A user header holds 1 to 255 bytes.
    const fits = [name, value].every((text) => {
      const { length } = new TextEncoder().encode(text);
      return length >= 1 && length <= 255;
    });
    if (RESERVED_NAME.test(name) || !fits) continue;
    found.push({
      key: { kind: "string", value: name },
      value: { kind: "string", value },
    });
  }
  return found;
}

/** Returns the offset that a stored message has in its log; `undefined` if it was not shipped. */
export function offsetOf(made: MsgHdrs | undefined): number | undefined {
  const text = made?.get(OFFSET_HEADER) ?? "";
  const offset = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(offset)
    ? offset
    : undefined;
}
