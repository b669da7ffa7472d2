//! Bytes that mean nothing: no rule may see anything in them.

use super::{
    carry::{Carried, detector, scan},
    made::Draw,
};
use data_encoding::{BASE64, BASE64URL};
use posture::Direction;

const MESSAGES: usize = 20;
const BYTES: usize = 768 << 10;

/// Twenty messages of a megabyte of base64 each, both alphabets, in one line and in lines.
#[test]
fn twenty_megabytes_of_random_base64_hold_nothing() {
    let detector = detector();
    let mut draw = Draw(8);
    for n in 0..MESSAGES {
        let noise: Vec<u8> = (0..BYTES / 8).flat_map(|_| draw.next().to_le_bytes()).collect();
        let mut text = if n % 2 == 0 { BASE64.encode(&noise) } else { BASE64URL.encode(&noise) };
        if n % 4 > 1 {
            text = text.as_bytes().chunks(76).fold(String::with_capacity(text.len() * 2), |mut lines, line| {
                lines.push_str(std::str::from_utf8(line).unwrap());
                lines.push('\n');
                lines
            });
        }
        assert!(text.len() >= 1 << 20);
        let carried = Carried::body(text);
        for direction in [Direction::Outbound, Direction::Inbound] {
            let said = scan(&detector, direction, &carried, [&carried.body[..]], &mut |_| {});
            assert!(said.is_empty(), "message {n}: {}", said[0].rule);
        }
    }
}
