/** The parts of the C library that loading needs, apart, since each symbol costs time. */
const USER = {
  geteuid: { parameters: [], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

const MEMORY = {
  memfd_create: {
    parameters: ["buffer", /* name */ "u32" /* flags */],
    result: "i32",
  },
  write: {
    parameters: ["i32", /* fd */ "buffer", /* bytes */ "usize" /* length */],
    result: "isize",
  },
  fcntl: {
    parameters: ["i32", /* fd */ "i32", /* command */ "i32" /* argument */],
    result: "i32",
  },
  close: { parameters: ["i32" /* fd */], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** `dlopen(3)`: glibc 2.34 moved it into the C library, and kept the name of the other. */
const LOADER = {
  dlopen: {
    parameters: ["buffer", /* name */ "i32" /* flags */],
    result: "pointer",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** `RTLD_NOW | RTLD_NOLOAD`: finds what is loaded, and loads nothing. */
const NOTHING_NEW = 2 | 4;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
/** Since Linux 6.3; without it, some systems make the memory not executable. */
const MFD_EXEC = 0x10;
const F_ADD_SEALS = 1033;
/** No sealing, shrinking, growing or writing any more. */
const ALL_SEALS = 0xf;

/** Returns the user that owns the files which this process makes. */
export function effectiveUser(): number {
  return withLibrary("libc.so.6", USER, ({ geteuid }) => geteuid());
}

/** Returns whether a library of that name (`DT_SONAME`) is in the process already. */
export function isLoaded(soname: string): boolean {
  return handles(soname)[0] !== null;
}

/**
 * Returns whether two names, of files or libraries, lead to the same loaded library: the loader has
 * one handle for each library.
 */
export function isSameLibrary(a: string, b: string): boolean {
  const [first, second] = handles(a, b);
  return Deno.UnsafePointer.equals(first!, second!);
}

/** Returns the loader's handles of libraries; `null` for one that is not loaded. */
function handles(...names: string[]): Deno.PointerValue[] {
  return withLibrary(
    "libdl.so.2",
    LOADER,
    ({ dlopen }) => names.map((name) => dlopen(cString(name), NOTHING_NEW)),
  );
}

/**
 * Runs `use` with the path of a sealed file in memory (`memfd_create(2)`). The file ends with the
 * call; mappings of it stay.
 *
 * @throws {Error} If the kernel gives none.
 */
export function withMemoryFile<T>(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  use: (path: string) => T,
): T {
  return withLibrary("libc.so.6", MEMORY, (libc) => {
    const text = cString(name);
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    let fd = libc.memfd_create(text, flags | MFD_EXEC);
    if (fd < 0) fd = libc.memfd_create(text, flags);
    if (fd < 0) throw new Error("memfd_create(2) failed");
    try {
      for (let at = 0; at < bytes.length;) {
        const rest = bytes.subarray(at);
        const written = Number(libc.write(fd, rest, BigInt(rest.length)));
        if (written <= 0) throw new Error("writing to a memory file failed");
        at += written;
      }
      libc.fcntl(fd, F_ADD_SEALS, ALL_SEALS);
      return use(`/proc/self/fd/${fd}`);
    } finally {
      libc.close(fd);
    }
  });
}

function withLibrary<S extends Deno.ForeignLibraryInterface, T>(
  name: string,
  symbols: S,
  use: (functions: Deno.DynamicLibrary<S>["symbols"]) => T,
): T {
  const library = Deno.dlopen(name, symbols);
  try {
    return use(library.symbols);
  } finally {
    library.close();
  }
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
