/** The rooms of the README's picture: their imports, and calls that one room alone may make. */
import { assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** From the top. A room imports those below it. Rooms in one row do not import each other. */
const FLOORS: readonly (readonly string[])[] = [
  ["cli"],
  ["iggy", "jetstream", "otel"],
  ["ship"],
  ["log"],
  ["segment"],
  ["codec", "storage"],
  ["engine"],
  ["pool"],
  ["native"],
  ["base"],
];
/** Rooms that `testing`, which stands beside the others, may import. */
const TESTING = ["storage", "pool", "base"];
/** Parts of the storage that it may import besides, to check and fail as the disk does. */
const PARTS = "lib/storage/parts.ts";
/** Iggy's format up to 0.8 has an entry file of its own, for the room that needs it. */
const LEGACY = "lib/codec/legacy/mod.ts";

interface Source {
  path: string;
  room: string;
  text: string;
}

function sources(): Source[] {
  const found: Source[] = [];
  for (const { name: room } of Deno.readDirSync(`${ROOT}lib`)) {
    const directories = [`lib/${room}`];
    for (const directory of directories) {
      for (const { name, isDirectory } of Deno.readDirSync(ROOT + directory)) {
        const path = `${directory}/${name}`;
        // Generated.
        if (path === "lib/native/embedded") continue;
        if (isDirectory) directories.push(path);
        else {found.push({
            path,
            room,
            text: Deno.readTextFileSync(ROOT + path),
          });}
      }
    }
  }
  return found;
}

/** Returns the files that a source imports or re-exports, as paths from the root. */
function imports({ path, text }: Source): string[] {
  return [...text.matchAll(/^(?:import|export|\}).* from "(\.[^"]+)";/gm)]
    .map(([, specifier]) => new URL(specifier!, `file:///${path}`).pathname)
    .map((pathname) => pathname.slice(1));
}

/** Returns those that it needs at run time, unlike imports of types alone. */
function valueImports({ path, text }: Source): string[] {
  const statements = text.matchAll(
    /^(?:import|export) (?!type\b)([^;"]*?) from "(\.[^"]+)";/gm,
  );
  return [...statements].filter(([, names]) =>
    !/^\{(?:\s*type [^,}]+,?)+\s*\}$/.test(names!)
  ).map(([, , specifier]) =>
    new URL(specifier!, `file:///${path}`).pathname.slice(1)
  );
}

/** Returns a path of imports from a file back to itself, if there is one. */
function circle(
  start: string,
  edges: ReadonlyMap<string, readonly string[]>,
): string[] | undefined {
  const seen = new Set<string>();
  const search = (path: string[]): string[] | undefined => {
    for (const next of edges.get(path.at(-1)!) ?? []) {
      if (next === start) return [...path, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = search([...path, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search([start]);
}

function below(room: string): readonly string[] {
  if (room === "testing") return TESTING;
  const floor = FLOORS.findIndex((rooms) => rooms.includes(room));
  return floor < 0 ? [] : FLOORS.slice(floor + 1).flat();
}

Deno.test({
  name: "a room imports only rooms below it, through their mod.ts",
  ignore: !ALL,
  fn: () => {
    const wrong: string[] = [];
    let looked = 0;
    for (const source of sources()) {
      for (const target of imports(source)) {
        looked++;
        const [, room] = target.split("/");
        if (room === source.room) continue;
        const face = target === `lib/${room}/mod.ts` ||
          source.room === "testing" && target === PARTS ||
          source.room === "iggy" && target === LEGACY;
        if (face && below(source.room).includes(room!)) continue;
        wrong.push(`${source.path} imports ${target}`);
      }
    }
    assertEquals(wrong, []);
    assertEquals(looked > 500, true);
  },
});

Deno.test({
  // Only types may refer to each other, as a buffer and its pool do, because nothing is loaded for
  // them.
  name: "no file imports itself through others",
  ignore: !ALL,
  fn: () => {
    const edges = new Map(
      sources().map((source) => [source.path, valueImports(source)]),
    );
    const circles = [...edges.keys()]
      .map((path) => circle(path, edges)?.join(" > "))
      .filter((found) => found !== undefined);
    assertEquals(circles, []);
    assertEquals([...edges.values()].flat().length > 400, true);
  },
});

Deno.test({
  name: "only lib/native loads a library or makes views of native memory",
  ignore: !ALL,
  fn: () => {
    const wrong = sources()
      .filter(({ room, text }) =>
        room !== "native" &&
        /^(?!\s*(?:\*|\/\/)).*Deno\.(?:dlopen|Unsafe)/m.test(text)
      );
    assertEquals(wrong.map(({ path }) => path), []);
  },
});

Deno.test({
  name:
    "log, segment and codec read no clock and no random source except the storage's",
  ignore: !ALL,
  fn: () => {
    // The monotonic clock is for statistics. A segment by itself has no storage, so these are its
    // defaults.
    const standalone = "lib/segment/write/segment_writer.ts";
    const said =
      /^(?!\s*(?:\*|\/\/)).*(?:Date\.now|Math\.random|randomUUID|getRandomValues)\(/m;
    const wrong = sources().filter(({ room, text }) =>
      ["log", "segment", "codec"].includes(room) && said.test(text)
    );
    assertEquals(wrong.map(({ path }) => path), [standalone]);
  },
});

Deno.test({
  name:
    "importing loads no module of Node, which would take longer than the whole package",
  ignore: !ALL,
  fn: () => {
    const wrong = sources()
      .filter(({ text }) =>
        /^(?:import (?!type)|export|\}).* "node:/m.test(text)
      );
    assertEquals(wrong.map(({ path }) => path), []);
  },
});
