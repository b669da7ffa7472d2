//! A content coding, or two, and bytes that may be of it → the scanner says the same however they come.

#![no_main]

mod message;

use libfuzzer_sys::fuzz_target;

const CODINGS: [&str; 8] = ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate", "x-gzip, identity", "unknown"];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (coding, step, body) = input;
    message::check(&[("content-encoding", CODINGS[usize::from(coding) % CODINGS.len()])], body, step.into());
});
