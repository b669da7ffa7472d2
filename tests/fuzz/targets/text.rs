//! Text without any type → every encoding that may occur within it is undone, within bounds, however it comes.

#![no_main]

mod message;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let (step, text) = input;
    message::check(&[], text.as_bytes(), step.into());
});
