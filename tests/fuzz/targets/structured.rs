//! A type of body, and bytes that may be of it → the scanner says the same however they come.

#![no_main]

mod message;

use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 7] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "text/html",
    "application/octet-stream",
];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (kind, step, body) = input;
    message::check(&[("content-type", TYPES[usize::from(kind) % TYPES.len()])], body, step.into());
});
