//! Gives the linker two settings. The library is never unmapped, because the worker that loaded it
//! may end before its thread's destructors run. It has a name by which the loader recognises it;
//! `lib/native/library.ts` looks for that name.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    let version = env!("CARGO_PKG_VERSION");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libbasalt-{version}.so");
}
