import { nodeModule } from "../native/mod.ts";

/** Something happened while a log was shipped: on channel `basalt:ship`. */
export interface ShipEvent {
  /** The directory of the log. */
  log: string;
  /** The name of the cursor. */
  cursor: string;
  /**
   * `"started"`: the destination said where to go on; `"failed"`: another attempt follows;
   * `"warned"`: the operator should know; `"ended"`: it is over, by an error if there is one.
   */
  action: "started" | "failed" | "warned" | "ended";
  /** Messages below this offset are at the destination; `undefined` before it was asked. */
  nextOffset: number | undefined;
  /** Why it failed or ended, if so. */
  error: Error | undefined;
  /** What the operator should know, if that is the event. */
  warning: string | undefined;
}

/** Publishes an event on `basalt:ship` of `node:diagnostics_channel`. */
export function publish(event: ShipEvent): void {
  const { channel } = nodeModule("node:diagnostics_channel");
  channel("basalt:ship").publish(event);
}
