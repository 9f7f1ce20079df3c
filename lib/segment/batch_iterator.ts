import { drive, driveSync, type Task } from "../base/mod.ts";
import type { MessageBatch } from "./message_batch.ts";

/** Gives batches of messages, one after the other. */
export interface BatchPass {
  /** Returns the next batch, which is the caller's; `undefined` at the end. */
  next(): Task<MessageBatch | undefined>;
  /** Closes the files. */
  close(): Task<void>;
}

/** Iterates over batches; files are closed at the end, on an error, and when the loop is left. */
export async function* iterate(
  pass: BatchPass,
): AsyncGenerator<MessageBatch, void, void> {
  try {
    for (;;) {
      const batch = await drive(pass.next());
      if (batch === undefined) return;
      yield batch;
    }
  } finally {
    await drive(pass.close());
  }
}

/** The blocking version of {@linkcode iterate}. */
export function* iterateSync(
  pass: BatchPass,
): Generator<MessageBatch, void, void> {
  try {
    for (;;) {
      const batch = driveSync(pass.next());
      if (batch === undefined) return;
      yield batch;
    }
  } finally {
    driveSync(pass.close());
  }
}
