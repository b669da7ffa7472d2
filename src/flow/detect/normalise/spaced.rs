//! `c u r l   - s` → `curl -s`: characters set apart by blanks, closed up.

/// The fewest characters set apart by blanks that are closed up.
const LEAST: usize = 8;

/// The stretches of `text` whose characters stand one by one between blanks, closed up, a line each.
pub(super) fn closed_up(text: &[u8]) -> Option<Vec<u8>> {
    const STEP: usize = 8;
    let mut out = Vec::new();
    let mut at = 0;
    let mut floor = 0;
    // A stretch of `LEAST` characters covers a probe at every eighth byte.
    loop {
        let (steps, _) = text.get(at..).unwrap_or_default().as_chunks::<STEP>();
        at += STEP * steps.iter().position(|step| apart(*step).is_some()).unwrap_or(steps.len());
        let mut probe = [0; STEP];
        let rest = text.get(at..).unwrap_or_default();
        let len = rest.len().min(STEP);
        probe[..len].copy_from_slice(&rest[..len]);
        let Some(odd) = apart(probe) else { break };
        let mut start = at + odd;
        while start >= floor + 2 && text[start - 1] == b' ' && text[start - 2] != b'\n' {
            start -= 2;
        }
        let before = out.len();
        let end = close_up(text, start, &mut out);
        if out.len() - before < LEAST {
            out.truncate(before);
        } else {
            out.push(b'\n');
        }
        floor = end;
        at = end.max(at + STEP);
    }
    (!out.is_empty()).then_some(out)
}

/// Where the first character stands that has blanks on both sides, if the first six bytes are every other one a blank,
/// and of the rest at most one: 0 or 1.
#[inline]
fn apart(bytes: [u8; 8]) -> Option<usize> {
    const BLANKS: u64 = u64::from_le_bytes([b' '; 8]);
    /// The first, third and fifth byte; the others are each a byte later.
    const EVEN: u64 = 0x00ff_00ff_00ff;
    // A blank is a byte of zeros.
    let others = u64::from_le_bytes(bytes) ^ BLANKS;
    let (even, odd) = (others & EVEN == 0, others >> 8 & EVEN == 0);
    if even == odd {
        return None;
    }
    let first = usize::from(even);
    let characters = [bytes[first], bytes[first + 2], bytes[first + 4]];
    let blank = |b: u8| usize::from(b == b' ');
    (characters.map(blank).iter().sum::<usize>() < 2).then_some(first)
}

/// Appends every second byte of `text` from `start` on, as long as blanks stand between them; answers where that ends.
fn close_up(text: &[u8], start: usize, out: &mut Vec<u8>) -> usize {
    let mut at = start;
    while let Some(&b) = text.get(at) {
        // More than one blank for a space is a gap.
        if b == b' ' && (out.last() == Some(&b' ') || out.last() == Some(&b'\n')) {
            break;
        }
        out.push(b);
        at += 1;
        if text.get(at) != Some(&b' ') {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::closed_up;

    #[test]
    fn characters_set_apart_close_up() {
        let apart = |text: &str| text.chars().map(String::from).collect::<Vec<_>>().join(" ");
        for text in ["sk-abcdefgh", "rm -rf --no-preserve-root /", "cat /etc/passwd"] {
            let line = [text, "\n"].concat();
            for before in 0..20 {
                let within = ["-".repeat(before), "\n".into(), apart(text), "\nmore words".into()].concat();
                let closed = closed_up(within.as_bytes()).unwrap();
                assert!(closed.ends_with(line.as_bytes()), "{within}");
            }
            assert_eq!(closed_up(apart(text).as_bytes()).unwrap(), line.as_bytes(), "{text}");
        }
    }

    #[test]
    fn prose_tables_and_indentation_do_not_close_up() {
        for text in [
            "plain words of a sentence, a b c d",
            "                    indented",
            "| a | b | c |",
            "a b c d",
            "x  =  1  +  2",
        ] {
            assert_eq!(closed_up(text.as_bytes()), None, "{text}");
        }
    }
}
