/** `deno task compare`: builds the library where necessary, then compares. */
import { USAGE } from "../bench/compare/options.ts";
import { buildLibrary } from "./build.ts";

if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
  console.log(USAGE);
  Deno.exit(0);
}
buildLibrary();
const { main } = await import("../bench/compare/main.ts");
Deno.exit(await main(Deno.args));
