//! Properties compared with a writer as plain as the tables of the format, and with Apache Iggy's
//! own decoder.

mod find;
mod lay;
mod naive;
mod scan;
mod seal;
mod vectors;
