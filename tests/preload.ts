/**
 * Loads the library before the first test, because a test that loaded it would be blamed for the
 * open resource. Only runs with this module (`deno task test`) are checked for leaked resources, so
 * `deno test --allow-ffi` alone passes, too.
 */
import { native } from "../lib/native/mod.ts";

native();
Deno.test.sanitizer({ resources: true });
