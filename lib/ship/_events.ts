import { nodeModule } from "../native/mod.ts";

/** An event of shipping, on the channel `basalt:ship`. */
export interface ShipEvent {
  /** The directory of the log. */
  log: string;
  /** The name of the cursor. */
  cursor: string;
  /**
   * `"started"`: the destination has told where to continue; `"failed"`: a retry follows;
   * `"warned"`: a warning for the operator; `"ended"`: it is over, by an error if there is one.
   */
  action: "started" | "failed" | "warned" | "ended";
  /** Messages below this offset are at the destination; `undefined` before it has responded. */
  nextOffset: number | undefined;
  /** Why it failed or ended, if so. */
  error: Error | undefined;
  /** The warning for the operator, if there is one. */
  warning: string | undefined;
}

/** Publishes an event on `basalt:ship` of `node:diagnostics_channel`. */
export function publish(event: ShipEvent): void {
  const { channel } = nodeModule("node:diagnostics_channel");
  channel("basalt:ship").publish(event);
}
