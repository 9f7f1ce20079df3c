/** A worker that replaces a path by one of two files in turn, until it is told to stop. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
interface Swaps {
  files: string[];
  path: string;
  stop: Int32Array;
}

self.onmessage = ({ data }: MessageEvent<Swaps>) => {
  const { files, path, stop } = data;
  for (let i = 0; Atomics.load(stop, 0) === 0; i++) {
    Deno.linkSync(files[i % files.length]!, `${path}.next`);
    Deno.renameSync(`${path}.next`, path);
    if (i === 0) self.postMessage("under way");
  }
  self.postMessage("stopped");
};
