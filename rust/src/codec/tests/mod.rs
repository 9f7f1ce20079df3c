//! Properties against a writer that is as plain as the format's tables, and against Apache Iggy's
//! own decoder.

mod find;
mod lay;
mod naive;
mod scan;
mod seal;
mod vectors;
