/**
 * Imports the bundles of the package in a runtime other than Deno, and uses each of them. Prints
 * the errors of the first uses as JSON.
 */
const [directory] = process.argv.slice(2);
const load = (name) => import(`file://${directory}/${name}.mjs`);
const basalt = await load("mod");
const iggy = await load("iggy");
const cli = await load("cli");
const storage = await load("storage");
const testing = await load("testing");

const uses = {
  "Log.open": () => basalt.Log.open("log"),
  "Log.openSync": () => basalt.Log.openSync(new URL("file:///log")),
  LogReader: () => new basalt.LogReader("/log").read().next(),
  BufferPool: () => new basalt.BufferPool(),
  "BufferPool.attach": () => basalt.BufferPool.attach(1),
  "DirectFile.open": () => basalt.DirectFile.open("file"),
  "DirectFile.openSync": () => basalt.DirectFile.openSync("/file"),
  DiskStorage: () =>
    new storage.DiskStorage().openSync("/file", { read: true }),
  inspectLog: () => basalt.inspectLog("log"),
  verifyLog: () => basalt.verifyLog("/log").next(),
  planRepair: () => basalt.planRepair("/log"),
  probePath: () => basalt.probePath("/"),
  probePathSync: () => basalt.probePathSync("/"),
  loadLibrary: () => basalt.loadLibrary(),
  exportToIggy: () => iggy.exportToIggy("/log", "/partition"),
  importFromIggy: () => iggy.importFromIggy("/partition", "/log"),
  main: () => cli.main(["--help"]),
  "Log.open on a SimulatedDisk": () =>
    basalt.Log.open("/log", {
      storage: new testing.SimulatedDisk({ seed: 1 }),
    }),
};
const thrown = {};
for (const [name, use] of Object.entries(uses)) {
  try {
    await use();
    thrown[name] = "nothing";
  } catch (error) {
    const { found, needed } = error;
    thrown[name] = { name: error.name, message: error.message, found, needed };
  }
}
console.log(JSON.stringify(thrown));
