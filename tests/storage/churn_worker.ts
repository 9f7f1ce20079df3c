/**
 * A worker that opens and closes files as fast as it can, so that descriptor numbers are reused
 * quickly.
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
self.onmessage = ({ data: paths }: MessageEvent<string[]>) => {
  self.postMessage("under way");
  for (;;) {
    const files = paths.map((path) => Deno.openSync(path, { read: true }));
    for (const file of files) file.close();
  }
};
