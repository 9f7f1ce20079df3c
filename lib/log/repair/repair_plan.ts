import type { OpeningReport } from "../open/opening.ts";

/** A step of a repair, besides those that opening takes anyway. */
export type RepairStep =
  | {
    /** A `.log` is cut where its first bad batch begins. */
    action: "cut";
    /** The `.log`. */
    path: string;
    /** Where it is cut, in bytes. */
    position: number;
    /** Bytes that the log loses. */
    byteLength: number;
    /** Number of valid messages among them. */
    messages: number;
    /** Where these bytes are kept; `undefined` if they are prepared space. */
    kept: string | undefined;
  }
  | {
    /**
     * A whole file leaves the log and gets another name, because it does not connect with the part
     * before it.
     */
    action: "setAside";
    /** The file. */
    path: string;
    /** Its bytes. */
    byteLength: number;
    /** Number of valid messages in it. */
    messages: number;
    /** Its new name. */
    kept: string;
  }
  | {
    /** An `.index` that does not agree with its log is written again. Nothing is lost. */
    action: "rebuildIndex";
    /** The `.index`. */
    path: string;
  }
  | {
    /** `meta` is damaged, or its first offset is below the oldest segment: it is written again. */
    action: "replaceMeta";
    /** The `meta`. */
    path: string;
    /** Where the log starts. */
    firstOffset: number;
  }
  | {
    /** No segment is left: an empty one is made, so that the log continues at its first offset. */
    action: "createSegment";
    /** The `.log`. */
    path: string;
    /** Where the log starts. */
    firstOffset: number;
  };

/**
 * Which segments a repair keeps where they do not connect: those at the beginning, or at the end.
 */
export type RepairKeep = "oldest" | "newest";

/** What a repair does to a log, and what the log loses. */
export interface RepairPlan {
  /** The directory. */
  path: string;
  /** Which segments are kept where they do not connect. */
  keep: RepairKeep;
  /** Whether the log needs a repair. */
  needed: boolean;
  /** The steps, in order. */
  steps: RepairStep[];
  /** Number of valid messages that the log loses. They stay in the kept files. */
  lostMessages: number;
  /**
   * Bytes that the log loses: those messages and damaged bytes. They stay in the kept files.
   */
  lostBytes: number;
  /** What the opening at the end of the repair does. */
  opening: OpeningReport;
  /** The offset of the log's first message, afterwards. */
  firstOffset: number;
  /** The offset that the next message gets, afterwards. */
  nextOffset: number;
}

/**
 * Reports that the log has changed since the repair was planned. Nothing was done.
 *
 * @example A plan that is out of date
 * ```ts
 * import { Log, planRepair, repairLog, RepairOutdatedError } from "@basalt/io";
 * import { assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   log.append("one");
 * }
 * const plan = await planRepair(dir);
 * {
 *   await using log = await Log.open(dir);
 *   log.append("two");
 * }
 * await assertRejects(() => repairLog(dir, plan), RepairOutdatedError);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class RepairOutdatedError extends Error {
  /** `"RepairOutdatedError"`. */
  override readonly name: string = "RepairOutdatedError";
  /** The directory. */
  readonly path: string;
  /** The plan for the log as it is now. */
  readonly plan: RepairPlan;

  /** Makes the error. */
  constructor(path: string, plan: RepairPlan) {
    super(
      `Cannot repair '${path}' as planned: it has changed since; look at the new plan first`,
    );
    this.path = path;
    this.plan = plan;
  }
}

/**
 * Reports that the segments of a log do not connect and both parts hold messages, so `keep` must
 * choose one. Nothing was done.
 *
 * @example A segment in the middle is lost
 * ```ts
 * import { Log, planRepair, RepairChoiceError } from "@basalt/io";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir, { segmentBytes: 1024 });
 *   for (let i = 0; i < 4; i++) log.append(new Uint8Array(700));
 * }
 * Deno.removeSync(`${dir}/00000000000000000001.log`);
 * const { oldest, newest } = await assertRejects(() => planRepair(dir), RepairChoiceError);
 * assertEquals([oldest.lostMessages, newest.lostMessages], [2, 1]);
 * const plan = await planRepair(dir, { keep: "newest" });
 * assertEquals([plan.firstOffset, plan.nextOffset], [2, 4]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class RepairChoiceError extends Error {
  /** `"RepairChoiceError"`. */
  override readonly name: string = "RepairChoiceError";
  /** The directory. */
  readonly path: string;
  /** The plan with `keep: "oldest"`. */
  readonly oldest: RepairPlan;
  /** The plan with `keep: "newest"`. */
  readonly newest: RepairPlan;

  /** Makes the error. */
  constructor(path: string, oldest: RepairPlan, newest: RepairPlan) {
    super(
      `Cannot repair '${path}' without a choice as its segments do not connect: keep the oldest (${
        told(oldest)
      }) or the newest (${told(newest)})`,
    );
    this.path = path;
    this.oldest = oldest;
    this.newest = newest;
  }
}

function told({ firstOffset, nextOffset, lostMessages }: RepairPlan): string {
  return `offsets ${firstOffset} up to, not including, ${nextOffset}; ${lostMessages} valid messages are lost`;
}
