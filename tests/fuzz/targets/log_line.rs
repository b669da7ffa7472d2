//! Bytes → a line of the log: what is read is framed again as the same bytes, and moves the chain by one.

#![no_main]

use attest::{Chain, Record, chain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let before = Chain::before(line);
    let Ok(record) = chain::read_line(line) else {
        if let Some(mut chain) = before {
            assert!(chain.follow(line).is_err());
        }
        return;
    };
    let mut chain = before.expect("a record says where it stands");
    let framed = chain.frame(&record).expect("what was read can be framed");
    assert_eq!(framed.line.strip_suffix(b"\n"), Some(line));
    let followed: Record = chain.follow(line).expect("it follows what it names");
    assert_eq!(followed, record);
    assert_eq!((chain.head(), chain.next_seq()), (&framed.sha256, framed.seq + 1));
    assert!(chain.follow(line).is_err(), "nothing follows itself");
});
