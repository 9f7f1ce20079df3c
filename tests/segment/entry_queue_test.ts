import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { EntryQueue } from "../../lib/segment/entry_queue.ts";

/** What is done to one of three queues. */
const call = fc.record({
  queue: fc.nat(2),
  action: fc.oneof(
    {
      weight: 8,
      arbitrary: fc.oneof(fc.nat(200), fc.nat(9000))
        .map((bytes) => ({ kind: "extend" as const, bytes })),
    },
    {
      weight: 8,
      arbitrary: fc.double({ min: 0, max: 1, noNaN: true })
        .map((part) => ({ kind: "take" as const, part })),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "release" as const }) },
  ),
});

Deno.test("EntryQueue gives back what was put in, in order, also in memory that another one released", () => {
  fc.assert(
    fc.property(fc.array(call, { maxLength: 100, size: "max" }), (calls) => {
      const queues = Array.from({ length: 3 }, () => new EntryQueue());
      const models = queues.map(() => new Uint8Array(0));
      const take = (i: number, bytes: number): void => {
        const taken = new Uint8Array(bytes + 1);
        queues[i]!.take(bytes, taken, 1);
        const expected = models[i]!.subarray(0, bytes);
        assert(expected.every((byte, at) => byte === taken[at + 1]));
        models[i] = models[i]!.subarray(bytes);
      };
      let next = 0;
      for (const { queue: i, action } of calls) {
        if (action.kind === "extend") {
          const added = queues[i]!.extend(action.bytes);
          assertEquals(added.length, action.bytes);
          added.fill(next = (next + 1) % 251);
          const model = new Uint8Array(models[i]!.length + added.length);
          model.set(models[i]!);
          model.set(added, models[i]!.length);
          models[i] = model;
        } else if (action.kind === "take") {
          take(i, Math.floor(action.part * models[i]!.length));
        } else {
          queues[i]!.release();
          models[i] = new Uint8Array(0);
        }
      }
      models.forEach((model, i) => take(i, model.length));
    }),
    { numRuns: 100, seed: 5 },
  );
});
