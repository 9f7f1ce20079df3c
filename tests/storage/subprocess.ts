/** Runs a script of this directory in another Deno; resolves to what it printed as JSON. */
export async function runScript(
  name: string,
  flags: string[],
  args: string[],
  prefix: string[] = [],
): Promise<unknown> {
  const script = new URL(name, import.meta.url).pathname;
  const [command, ...rest] = [
    ...prefix,
    Deno.execPath(),
    "run",
    "--no-prompt",
    "--quiet",
    "--no-lock",
    ...flags,
    script,
    ...args,
  ];
  const { success, stdout, stderr } = await new Deno.Command(command!, {
    args: rest,
    stdin: "null",
  }).output();
  const [out, errors] = [stdout, stderr].map((each) =>
    new TextDecoder().decode(each)
  );
  if (!success) throw new Error(`${name} failed: ${errors}`);
  return JSON.parse(out!);
}
