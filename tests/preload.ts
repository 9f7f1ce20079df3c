/**
 * Loads the library before the first test: a test that loaded it would be blamed for the resource.
 * So only what is run with this module
 * (`deno task test`) is checked for resources that are left open; `deno test --allow-ffi` alone
 * passes, too.
 */
import { native } from "../lib/native/mod.ts";

native();
Deno.test.sanitizer({ resources: true });
