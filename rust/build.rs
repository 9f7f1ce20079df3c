//! Links the library so that it is never unmapped, for the worker that loaded it may end before its
//! thread's destructors run, and under a name by which the loader knows it (`lib/native/library.ts`
//! looks for it).
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    let version = env!("CARGO_PKG_VERSION");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libbasalt-{version}.so");
}
