use super::*;
use crate::flow::detect::{decode::View, matcher::Match, rule::RuleSet};
use posture::{Encoding, Placement, Severity};
use std::sync::LazyLock;

const SENT: Sent = Sent { generation: 1, direction: Direction::Outbound, voice: Voice::Unknown };

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(RuleSet::embedded);

/// These matches of the first rule, a message's `content` each.
fn finds(texts: &[impl AsRef<[u8]>]) -> Option<Finds> {
    let mut gathered = Gathered::default();
    let rule = &RULES.rules()[0];
    let encoding = [Encoding::Gzip, Encoding::Json, Encoding::Base64];
    for matched in texts.iter().map(AsRef::as_ref) {
        let view = View { encoding: &encoding, name: Some(b"content"), ..View::plain(matched) };
        gathered.note(&Match { rule, index: 0, matched, extra: None, severity: Severity::High, span: None }, &view, 2);
    }
    gathered.finds()
}

/// What is told of them again.
fn told(finds: &Finds) -> Vec<(Vec<u8>, Vec<Encoding>)> {
    let mut told = Vec::new();
    finds.each(&RULES, &[Encoding::Json], Placement::Body, &mut |m, view| {
        assert_eq!((m.index, m.rule.id(), m.severity), (0, RULES.rules()[0].id(), Severity::High));
        assert_eq!((view.name, view.text), (Some(&b"content"[..]), m.matched));
        told.push((m.matched.to_vec(), view.encoding.to_vec()));
    });
    told
}

#[test]
fn a_part_is_known_once_it_was_noted_and_as_it_was_sent_only() {
    for texts in [&[][..], &["a secret"], &["one", "another", "one"]] {
        let familiar = Familiar::default();
        let tag = familiar.tag(SENT, b"a part").unwrap();
        let know = || familiar.recall(tag).map(|finds| told(&finds));
        assert_eq!(know(), None);
        let note = || familiar.note(tag, finds(texts).unwrap());
        note();
        // The same match twice is one.
        let want: Vec<_> =
            texts.iter().take(2).map(|t| (t.as_bytes().to_vec(), vec![Encoding::Json, Encoding::Base64])).collect();
        assert_eq!(know(), Some(want));
        familiar.forget();
        assert_eq!(know(), None);
        note();
        let others = [
            (Sent { generation: 2, ..SENT }, &b"a part"[..]),
            (Sent { direction: Direction::Inbound, ..SENT }, b"a part"),
            (Sent { voice: Voice::System, ..SENT }, b"a part"),
            (SENT, b"a part."),
            (SENT, b""),
        ];
        for (sent, part) in others {
            assert!(familiar.recall(familiar.tag(sent, part).unwrap()).is_none());
        }
        assert!(Familiar::default().tag(SENT, b"a part") != Some(tag), "each has a key of its own");
    }
}

#[test]
fn what_was_found_is_told_to_nobody_who_has_not_the_part() {
    let familiar = Familiar::default();
    let part = b"the key is a-secret-of-some-length";
    let tag = familiar.tag(SENT, part).unwrap();
    familiar.note(tag, finds(&["a-secret-of-some-length"]).unwrap());
    let sealed = Arc::clone(familiar.parts().new.finds.get(&tag.short()).unwrap());
    for piece in [&b"a-secret"[..], b"length", b"content"] {
        assert!(memchr::memmem::find(sealed.text(), piece).is_none());
    }
    // Another part with the same tag, as far as it is kept.
    assert!(familiar.recall(Tag(tag.0 ^ 1 << 127)).is_none());
    assert!(familiar.recall(tag).is_some());
}

#[test]
fn what_is_met_again_stays_and_the_rest_is_bounded() {
    let long = "x".repeat(4 << 10);
    for (texts, parts) in [(&[][..], MAX_PARTS), (&["secret"], MAX_PARTS), (&[&long], MAX_BYTES / long.len())] {
        let familiar = Familiar::default();
        let tag = |n: usize| familiar.tag(SENT, &n.to_le_bytes()).unwrap();
        for n in 0..4 * parts {
            familiar.note(tag(n), finds(texts).unwrap());
            assert!(familiar.recall(tag(0)).is_some(), "{n}");
        }
        assert!(familiar.recall(tag(1)).is_none());
        let Parts { new, old } = &*familiar.parts();
        for Generation { empty, finds, bytes } in [new, old] {
            assert!(empty.len() + finds.len() <= MAX_PARTS && *bytes <= MAX_BYTES);
            assert_eq!(*bytes, finds.values().map(|sealed| sealed.bytes()).sum::<usize>());
        }
    }
}

#[test]
fn of_a_part_with_more_than_is_kept_nothing_is() {
    let texts: Vec<String> = (0..300).map(|n| format!("match {n}")).collect();
    assert_eq!(finds(&texts[..256]).map(|finds| told(&finds).len()), Some(256));
    assert!(finds(&texts[..257]).is_none());
    let long = [vec![b'x'; 9 << 10], vec![b'y'; 9 << 10]];
    assert!(finds(&long[..1]).is_some());
    assert!(finds(&long).is_none());
}
