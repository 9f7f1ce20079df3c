//! Links the library so that it is never unmapped: the worker that loaded it may end before its thread's destructors run.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
