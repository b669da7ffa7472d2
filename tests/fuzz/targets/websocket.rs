//! Frames, compressed or not → the same messages and the same sums however they come.

#![no_main]

use guardian::flow::capture::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| hostile::websocket(input));
