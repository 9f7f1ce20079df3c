import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";

Deno.test({
  name:
    "BufferPool reports memory that the system refuses with code ENOMEM, loses nothing, and can get it later",
  ignore: !ALL,
  async fn() {
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args: [
          "run",
          "--quiet",
          "--allow-all",
          new URL("memory_child.ts", import.meta.url).pathname,
        ],
      },
    ).output();
    const [out, errors] = [stdout, stderr].map((each) =>
      new TextDecoder().decode(each)
    );
    assert(success, errors!);
    const refused = { name: "Error", code: "ENOMEM", syscall: "mmap" };
    const result = JSON.parse(out!);
    assertEquals(result.errors, Array(6).fill(refused));
    assertEquals(result.inUseBytes, 0);
  },
});
