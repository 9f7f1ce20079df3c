/** One suite of behaviours, every storage, both forms of each operation. */
import { BEHAVIOURS } from "./storage_conformance.ts";
import { SUBJECTS, TWINS } from "./subject.ts";

for (const kind of SUBJECTS) {
  for (const twin of TWINS) {
    Deno.test(`${kind.name}, ${twin}`, async (test) => {
      for (const behaviour of BEHAVIOURS) {
        await test.step(behaviour.name, async () => {
          using subject = kind.make(twin);
          await behaviour.prove(subject);
        });
      }
    });
  }
}
