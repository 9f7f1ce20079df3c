/** Runs a script in another Deno, and resolves to what it printed as JSON. */
export async function runScript(
  script: URL,
  flags: string[],
  args: string[],
  prefix: string[] = [],
): Promise<unknown> {
  const [command, ...rest] = [
    ...prefix,
    Deno.execPath(),
    "run",
    "--no-prompt",
    "--quiet",
    "--no-lock",
    ...flags,
    script.pathname,
    ...args,
  ];
  const { success, stdout, stderr } = await new Deno.Command(command!, {
    args: rest,
    stdin: "null",
  }).output();
  const [out, errors] = [stdout, stderr].map((each) =>
    new TextDecoder().decode(each)
  );
  if (!success) throw new Error(`${script} failed: ${errors}`);
  return JSON.parse(out!);
}
