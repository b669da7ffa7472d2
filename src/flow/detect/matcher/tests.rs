use super::*;
use crate::flow::detect::decode::Voice;
use posture::Placement;

#[test]
fn debug() {
    let m = Matcher::new(RuleSet::embedded());
    for line in std::fs::read_to_string("/tmp/dbg.txt").unwrap_or_default().lines() {
        for d in [Direction::Inbound, Direction::Outbound] {
            let view = View {
                text: line.as_bytes(),
                encoding: &[],
                placement: Placement::Body,
                name: None,
                voice: Voice::Unknown,
            };
            m.find(d, &view, &mut |f| {
                eprintln!("{line}\n   {} {:?} {:?}", f.rule.id(), f.extra, String::from_utf8_lossy(f.matched))
            });
        }
    }
}
