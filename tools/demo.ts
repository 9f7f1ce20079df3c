/** `deno task demo [FILE]`: builds the library where it must, then runs `basalt demo`. */
import { buildLibrary } from "./build.ts";

buildLibrary();
const { main } = await import("../lib/cli/mod.ts");
Deno.exit(await main(["demo", ...Deno.args]));
