/** `deno task demo [FILE]`: builds the library where it must, then runs the demonstration. */
import { buildLibrary } from "./build.ts";
import { ROOT } from "./run.ts";

buildLibrary();
const { demo } = await import("../lib/cli/demo.ts");
Deno.exit(await demo(Deno.args, ROOT));
