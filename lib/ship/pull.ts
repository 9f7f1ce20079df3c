import type { UserHeader, UserHeadersInit } from "../codec/mod.ts";
import type { Log } from "../log/mod.ts";
import { Attempts, callPeer } from "./_attempts.ts";
import { ShippingError } from "./shipping_error.ts";
import type { ResumePoint, Source, SourceMessage } from "./source.ts";

/** The user header with the position of a message that has no offset of a log. */
const SEQUENCE_HEADER = "Basalt-Source-Sequence";

/** How to pull messages. */
export interface PullOptions {
  /**
   * Continue with later messages until the signal is aborted, and retry failures of the source.
   * @default {false}
   */
  follow?: boolean;
  /** Ends the pulling. The messages so far are made durable. */
  signal?: AbortSignal;
  /** Called now and then with the next offset of the log. */
  onProgress?: (nextOffset: number) => void;
}

/** The messages that were pulled. */
export interface PullReport {
  /** Messages appended. */
  messages: number;
  /** The offset of the first one. */
  firstOffset: number;
  /** The offset after the last one. */
  nextOffset: number;
}

/**
 * Appends the messages of a source to a log, and makes them durable.
 *
 * A message that was shipped from a log gets the offset that it had there; others get the next one.
 * Another call continues after the last message of the log. For that, a message without an offset
 * gets the user header `Basalt-Source-Sequence`.
 *
 * @throws {ShippingError} If a message is missing, or belongs to another log than the one before
 *   it.
 *
 * @example From memory
 * ```ts
 * import { Log } from "@basalt/io";
 * import { pull, type Source } from "@basalt/io/ship";
 * import { assertEquals } from "@std/assert";
 *
 * const source: Source = {
 *   async *messages({ nextOffset }) {
 *     if (nextOffset === 0) yield { payload: new Uint8Array(3), offset: 0 };
 *   },
 * };
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   assertEquals((await pull(source, log)).messages, 1);
 *   assertEquals((await pull(source, log)).messages, 0);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export async function pull(
  source: Source,
  log: Log,
  options: PullOptions = {},
): Promise<PullReport> {
  const { follow = false, signal = new AbortController().signal } = options;
  const attempts = new Attempts(signal);
  const firstOffset = log.nextOffset;
  await attempts.run(async () => {
    const from = await resumePoint(log);
    let identity: string | undefined;
    const messages = source.messages(from, { follow, signal });
    for await (const message of ofSource(messages)) {
      identity ??= message.log;
      if (message.log !== undefined && message.log !== identity) {
        throw new ShippingError(
          "other log",
          `Cannot pull offset ${message.offset}: it is of log ${message.log}, and the message before it of log ${identity}`,
        );
      }
      await append(log, message);
      attempts.progress();
      options.onProgress?.(log.nextOffset);
    }
  }, (error) => {
    if (!follow) throw error;
  });
  await log.flush();
  const { nextOffset } = log;
  return { messages: nextOffset - firstOffset, firstOffset, nextOffset };
}

/** Returns where the source continues: after the last message of the log. */
async function resumePoint(log: Log): Promise<ResumePoint> {
  const { nextOffset, firstOffset } = log;
  let sequence: number | undefined;
  if (nextOffset > firstOffset) {
    // The last message may be in memory only.
    await log.flush();
    for await (
      const { userHeaders } of log.messages({ from: nextOffset - 1 })
    ) {
      const header = userHeaders.find(({ key }) =>
        key.value === SEQUENCE_HEADER
      );
      if (header !== undefined) sequence = Number(header.value.value);
    }
  }
  return { nextOffset, sequence };
}

/** Marks failures of the source, to tell them from those of the log. */
async function* ofSource(
  messages: AsyncIterable<SourceMessage>,
): AsyncGenerator<SourceMessage, void, void> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const result = await callPeer(() => iterator.next());
      if (result.done) return;
      yield result.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function append(log: Log, message: SourceMessage): Promise<void> {
  const { payload, offset, sequence, userHeaders = [] } = message;
  if (offset !== undefined && offset !== log.nextOffset) {
    throw new ShippingError(
      "gap",
      `Cannot pull offset ${offset} into log '${log.path}': its next offset is ${log.nextOffset}`,
    );
  }
  await log.ready();
  if (offset !== undefined) {
    log.append(payload, { expect: offset, userHeaders });
  } else {
    log.append(payload, { userHeaders: withSequence(userHeaders, sequence) });
  }
}

function withSequence(
  headers: UserHeadersInit,
  sequence: number | undefined,
): UserHeadersInit {
  if (sequence === undefined) return headers;
  const added: UserHeader = {
    key: { kind: "string", value: SEQUENCE_HEADER },
    value: { kind: "uint64", value: BigInt(sequence) },
  };
  return Array.isArray(headers) ? [...headers, added] : {
    ...headers,
    [SEQUENCE_HEADER]: added.value,
  };
}
