/** Loads the library before the first test: a test that loaded it would be blamed for the resource. */
import { native } from "../lib/native/mod.ts";

native();
