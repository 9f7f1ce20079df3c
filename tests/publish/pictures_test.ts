/** The pictures of docs/ agree with the code. */
import { assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Returns the texts of a class in a picture, in alphabetical order. */
function textsOf(picture: string, of: string): string[] {
  const svg = Deno.readTextFileSync(`${ROOT}docs/${picture}`);
  const found = svg.matchAll(
    new RegExp(`<text\\s+class="${of}"[^>]*>([^<]*)<`, "g"),
  );
  return [...found].map(([, text]) => text!).sort();
}

Deno.test({
  name: "docs/rooms.svg shows each room of lib/",
  ignore: !ALL,
  fn: () => {
    const rooms = [...Deno.readDirSync(`${ROOT}lib`)].map(({ name }) =>
      `lib/${name}`
    );
    assertEquals(
      textsOf("rooms.svg", "name"),
      [...rooms, "mod.ts", "rust/src"].sort(),
    );
  },
});

Deno.test({
  name: "docs/buffer.svg shows each state of a lease",
  ignore: !ALL,
  fn: () => {
    const code = Deno.readTextFileSync(`${ROOT}lib/pool/_lease.ts`);
    const [, union = ""] = /type LeaseState =([^;]*);/.exec(code) ?? [];
    const states = [...union.matchAll(/"(\w+)"/g)].map(([, state]) => state!);
    assertEquals(textsOf("buffer.svg", "state"), states.sort());
  },
});
