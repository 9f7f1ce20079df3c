/** `deno task compare`: builds the library where it must, then compares. */
import { buildLibrary } from "./build.ts";

buildLibrary();
const { main } = await import("../bench/compare/main.ts");
Deno.exit(await main(Deno.args));
