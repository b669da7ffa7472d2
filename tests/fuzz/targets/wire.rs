//! What else a client's bytes are read for by hand: what they begin, a `ClientHello`, an authority, fields of one hop.

#![no_main]

use guardian::flow::capture::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| hostile::wire(input));
