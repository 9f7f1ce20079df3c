/**
 * The events that a log publishes on `node:diagnostics_channel`.
 *
 * @module
 */
import type { Channel } from "node:diagnostics_channel";
import { nodeModule } from "../native/mod.ts";
import type { PoisonedError } from "../segment/mod.ts";
import type { StorageTimer, TaskStorage } from "../storage/mod.ts";
import type { OpeningReport } from "./open/opening.ts";
import type { RetentionReport } from "./retain/retention.ts";

/** A flush is over (`basalt:flush`). */
export interface FlushEvent {
  /** The directory of the log. */
  log: string;
  /** Messages below it survive a power cut. */
  durableOffset: number;
  /** Messages that the flush made durable. */
  messages: number;
  /** How long it took, in microseconds. */
  durationMicros: number;
}

/** A segment was closed, and the next one started (`basalt:roll`). */
export interface RollEvent {
  /** The directory of the log. */
  log: string;
  /** The first offset of the segment that was closed. */
  firstOffset: number;
  /** The first offset of the next one. */
  nextOffset: number;
  /** Bytes of the messages in the closed one. */
  byteLength: number;
}

/** Retention removed segments, or failed (`basalt:retain`). */
export interface RetainEvent {
  /** The directory of the log. */
  log: string;
  /** What was removed; `undefined` if it failed. */
  report: RetentionReport | undefined;
  /** The error, if it failed. */
  error: Error | undefined;
}

/** A write or a sync failed: nothing more can be written (`basalt:poison`). */
export interface PoisonEvent {
  /** The directory of the log. */
  log: string;
  /** The error of later calls. */
  error: PoisonedError;
}

/** Opening recovered a log, or removed what an earlier writer left (`basalt:recovery`). */
export interface RecoveryEvent {
  /** The directory of the log. */
  log: string;
  /** What opening found and did. */
  report: OpeningReport;
}

/** Something happened to a cursor (`basalt:cursor`). */
export interface CursorEvent {
  /** The directory of the log. */
  log: string;
  /** The name of the cursor. */
  cursor: string;
  /**
   * What happened. `"passed"`: retention removed messages that it needed. `"failed"`: a commit that
   * was not durable was not written.
   */
  action:
    | "opened"
    | "committed"
    | "moved"
    | "closed"
    | "deleted"
    | "passed"
    | "failed";
  /** The committed position; `undefined` where it is not known. */
  position: number | undefined;
  /** The error, if it failed. */
  error: Error | undefined;
}

/** The events by the name of their channel. */
export interface LogEvents {
  /** A flush is over. */
  "basalt:flush": FlushEvent;
  /** A segment was closed. */
  "basalt:roll": RollEvent;
  /** Retention removed segments, or failed. */
  "basalt:retain": RetainEvent;
  /** Nothing more can be written. */
  "basalt:poison": PoisonEvent;
  /** Opening recovered a log. */
  "basalt:recovery": RecoveryEvent;
  /** Something happened to a cursor. */
  "basalt:cursor": CursorEvent;
}

type EventName = keyof LogEvents;

/**
 * The module takes 12 ms to load, so it is loaded this long after a log was opened, in
 * milliseconds.
 */
const LOAD_AFTER_MS = 50;
/** Most events to hold until then. */
const MAX_HELD = 1024;

/** Opens a channel by its name; `undefined` until the module is loaded. */
let openChannel: ((name: EventName) => Channel) | undefined;
const channels: Partial<Record<EventName, Channel>> = {};
const held: [EventName, LogEvents[EventName]][] = [];

/**
 * Publishes an event. Without a subscriber it costs one property read.
 *
 * Until the module is loaded, events are held.
 */
export function publish<N extends EventName>(
  name: N,
  make: () => LogEvents[N],
): void {
  if (openChannel === undefined) {
    if (held.length < MAX_HELD) held.push([name, make()]);
    return;
  }
  const channel = channels[name] ??= openChannel(name);
  if (channel.hasSubscribers) channel.publish(make());
}

/** Publishes what happened to a cursor. */
export function publishCursor(
  log: string,
  cursor: string,
  action: CursorEvent["action"],
  position?: number,
  error?: Error,
): void {
  const make = () => ({ log, cursor, action, position, error });
  publish("basalt:cursor", make);
}

/** Loads the module soon, unless it is loaded. Cancel the timer to prevent it. */
export function loadEventsSoon(storage: TaskStorage): StorageTimer | undefined {
  if (openChannel !== undefined) return undefined;
  return storage.after(LOAD_AFTER_MS, loadEvents);
}

/** Loads the module and publishes the events that were held. */
export function loadEvents(): void {
  if (openChannel !== undefined) return;
  openChannel = nodeModule("node:diagnostics_channel").channel;
  for (const [name, event] of held.splice(0)) publish(name, () => event);
}
