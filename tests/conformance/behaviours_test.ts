/** One suite of behaviours for every storage, with async and sync calls. */
import { BEHAVIOURS } from "./_storage_conformance.ts";
import { MODES, SUBJECTS } from "./_subject.ts";

for (const kind of SUBJECTS) {
  for (const mode of MODES) {
    Deno.test(`${kind.name}, ${mode}`, async (test) => {
      for (const behaviour of BEHAVIOURS) {
        await test.step(behaviour.name, async () => {
          using subject = kind.make(mode);
          await behaviour.prove(subject);
        });
      }
    });
  }
}
