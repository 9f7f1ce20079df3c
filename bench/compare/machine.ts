/** The machine on which a table was made. */
import { DirectFile } from "../../mod.ts";
import type { Context } from "./context.ts";

/** The properties of a machine that affect figures. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly hugePages: string;
  readonly disk: string;
  readonly filesystem: string;
  readonly tier: string;
  readonly engine: string;
  readonly deno: string;
  readonly date: string;
  /** Whether it is a machine for which the goals were set: two cores, ext4 on a virtio disk. */
  readonly reference: boolean;
}

/** Describes the machine and the disk of the run's directory. */
export function describeMachine(context: Context): Machine {
  const path = context.path("probe");
  Deno.writeFileSync(path, new Uint8Array(4096));
  using file = DirectFile.openSync(path);
  const { filesystem, tier, engine, engineReason } = file.capabilities;
  const { device } = file.statSync();
  const disk = diskName(device);
  const cores = navigator.hardwareConcurrency;
  Deno.removeSync(path);
  return {
    cpu: /^model name\s*:\s*(.+)$/m.exec(read("/proc/cpuinfo"))?.[1] ??
      Deno.build.arch,
    cores,
    memoryBytes: Deno.systemMemoryInfo().total,
    kernel: Deno.osRelease(),
    hugePages: /\[(\w+)\]/.exec(
      read("/sys/kernel/mm/transparent_hugepage/enabled"),
    )?.[1] ?? "none",
    disk: `${disk}, ${rotation(device)}`,
    filesystem,
    tier,
    engine: `${engine}: ${engineReason}`,
    deno: Deno.version.deno,
    date: new Date().toISOString().slice(0, 10),
    reference: cores === 2 && filesystem === "ext4" && disk.startsWith("vd"),
  };
}

/** Returns the name of a block device by its numbers. */
function diskName(device: string): string {
  return /^DEVNAME=(.+)$/m.exec(read(`/sys/dev/block/${device}/uevent`))
    ?.[1] ?? device;
}

function rotation(device: string): string {
  const base = `/sys/dev/block/${device}`;
  // A partition has no queue of its own.
  const kind = read(`${base}/queue/rotational`) ||
    read(`${base}/../queue/rotational`);
  // A virtio disk reports 1, whatever its hardware is.
  return `rotational ${kind.trim() || "unknown"}`;
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/** Formats the properties as readable lines. */
export function machineLines(machine: Machine): string[] {
  const gib = (machine.memoryBytes / 1024 ** 3).toFixed(0);
  return [
    `${machine.cores} cores (${machine.cpu}), ${gib} GiB, Linux ${machine.kernel}, transparent huge pages: ${machine.hugePages}`,
    `${machine.filesystem} on ${machine.disk}; tier ${machine.tier}; Deno ${machine.deno}; ${machine.date}`,
    `engine ${machine.engine}`,
  ];
}
