//! Shapes that one reader takes for another request than the next: never does the origin see one the scanner did not.
//!
//! Each shape is sent plain, through a tunnel and within TLS. It is refused with a status and counted, or passed on in the
//! one spelling that has one reading.

use super::became::{Way, every_way};
use guardian::flow::capture::StartLine;

/// What follows would be a request of its own to whoever took the body for shorter than it is.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: ORIGIN\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!("POST TARGET/ HTTP/1.1\r\nHost: ORIGIN\r\nAUTH\r\n{fields}\r\n{body}")
}

fn get(fields: &str) -> String {
    format!("GET TARGET/ HTTP/1.1\r\nHost: ORIGIN\r\nAUTH\r\n{fields}\r\n")
}

/// As the origin gets it.
fn heard(request: &str) -> String {
    request.replace("TARGET", "").replace("AUTH\r\n", "")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

async fn all_refused(shapes: impl IntoIterator<Item = String>) {
    for became in every_way(shapes).await {
        became.was_refused(400);
    }
}

/// A length that is written so is refused, before any of the body is taken for one.
async fn lengths_refused(lengths: &[&str]) {
    all_refused(lengths.iter().map(|length| post(&format!("Content-Length: {length}\r\n"), HIDDEN))).await;
}

#[tokio::test]
async fn two_lengths_that_differ_are_refused() {
    lengths_refused(&["4\r\nContent-Length: 5", "5\r\ncontent-length: 4", "0\r\nX: 1\r\nContent-Length: 37"]).await;
}

#[tokio::test]
async fn two_lengths_that_are_the_same_are_one() {
    let twice = post("Content-Length: 4\r\nContent-Length: 4\r\n", "abcd");
    for became in every_way([&twice]).await {
        became.went_through(&heard(&post("Content-Length: 4\r\n", "abcd")), &["abcd"]);
    }
}

#[tokio::test]
async fn a_length_with_a_sign_is_refused() {
    lengths_refused(&["+4", "-4", "-0", "+0"]).await;
}

#[tokio::test]
async fn a_length_that_is_a_list_is_refused() {
    lengths_refused(&["4,4", "4, 4", "4,5", "4,", ",4"]).await;
}

#[tokio::test]
async fn a_length_that_is_no_number_is_refused() {
    lengths_refused(&["", "4 4", "4\t0", "0x4", "4.0", "4e0", "\u{664}", "chunked"]).await;
}

#[tokio::test]
async fn a_length_that_no_counter_holds_is_refused() {
    for became in every_way([post("Content-Length: 18446744073709551615\r\n", HIDDEN)]).await {
        became.was_refused(431);
    }
    lengths_refused(&["18446744073709551616", "36893488147419103236", &"9".repeat(400)]).await;
}

#[tokio::test]
async fn a_length_with_zeros_before_it_is_the_same_number() {
    let request = post("Content-Length: 0004\r\n", "abcd");
    for became in every_way([&request]).await {
        became.went_through(&heard(&request), &["abcd"]);
    }
}

#[tokio::test]
async fn of_a_length_beside_chunks_only_the_chunks_pass_and_nothing_follows() {
    let body = format!("4\r\nabcd\r\n0\r\n\r\n{HIDDEN}");
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: +4\r\n",
    ] {
        for became in every_way([post(fields, &body)]).await {
            became.went_through(&heard(&chunked("4\r\nabcd\r\n0\r\n\r\n")), &["abcd"]);
        }
    }
}

#[tokio::test]
async fn a_request_that_does_not_end_in_chunks_is_refused() {
    let codings = [
        "xchunked",
        "chunkedx",
        "identity",
        "chunked, identity",
        "chunked\r\nTransfer-Encoding: cow",
        "gzip",
        "",
        "chunked,",
        "chunked;q=1",
        "\"chunked\"",
        "\u{b}chunked",
        "chunked\u{a0}",
    ];
    all_refused(codings.map(coded)).await;
}

fn coded(coding: &str) -> String {
    post(&format!("Transfer-Encoding: {coding}\r\n"), &format!("0\r\n\r\n{HIDDEN}"))
}

#[tokio::test]
async fn a_coding_that_not_every_server_knows_is_refused_and_nothing_after_it_read() {
    let codings = [
        "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "identity, chunked",
        "cow\r\nTransfer-Encoding: chunked",
        ", chunked",
        "gzip;q=1, chunked",
        "\"chunked\", chunked",
    ];
    for became in every_way(codings.map(coded)).await {
        became.was_refused_as("misframed_request", 400);
        assert!(became.answer.ends_with("\"reason\":\"transfer_encoding\"}\n"), "{became}");
    }
}

#[tokio::test]
async fn a_transfer_coding_of_http_1_0_is_refused() {
    all_refused([chunked("0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0")]).await;
}

#[tokio::test]
async fn a_known_coding_before_the_chunks_passes_as_it_came() {
    let request = post("Transfer-Encoding: gzip, Chunked\r\n", "4\r\nabcd\r\n0\r\n\r\n");
    for became in every_way([&request]).await {
        became.went_through(&heard(&request), &["abcd"]);
    }
}

#[tokio::test]
async fn a_blank_before_the_colon_is_refused() {
    let fields = ["Content-Length : 4", "Transfer-Encoding : chunked", "Host : ORIGIN", "X\t: 1", "X\u{b}: 1"];
    all_refused(fields.map(|field| post(&format!("{field}\r\n"), HIDDEN))).await;
}

#[tokio::test]
async fn a_folded_field_is_refused() {
    let fields = ["X: a\r\n b", "X: a\r\n\tb", "X:\r\n Content-Length: 4", "Transfer-Encoding:\r\n chunked", " X: 1"];
    all_refused(fields.map(|field| post(&format!("{field}\r\n"), HIDDEN))).await;
}

#[tokio::test]
async fn a_field_that_begins_the_head_with_a_blank_is_refused() {
    all_refused(["GET TARGET/ HTTP/1.1\r\n Host: ORIGIN\r\nAUTH\r\n\r\n".to_owned()]).await;
}

#[tokio::test]
async fn a_control_character_in_a_head_is_refused() {
    let fields =
        ["X: a\0b", "X: \u{1}", "X: a\u{b}b", "X: a\u{7f}", "X: a\rY: b", "X\0: 1", "X\u{1}: 1", "X: \u{1b}[2J"];
    all_refused(fields.map(|field| get(&format!("{field}\r\n")))).await;
}

#[tokio::test]
async fn a_field_name_that_is_no_token_is_refused() {
    let fields = [": 1", "X Y: 1", "(x): 1", "X", "X;Y: 1", "\u{e9}: 1", "X@: 1"];
    all_refused(fields.map(|field| get(&format!("{field}\r\n")))).await;
}

#[tokio::test]
async fn a_request_line_in_another_form_is_refused_after_one_in_the_right_form() {
    let lines = [
        "GET  TARGET/two HTTP/1.1",
        "GET\tTARGET/two HTTP/1.1",
        "GET TARGET/two  HTTP/1.1",
        "GET TARGET/two HTTP/1.1 x",
        "GET TARGET/two HTTP/2.0",
        "GET TARGET/two HTTP/1.2",
        "GET TARGET/two http/1.1",
        "GET TARGET/two HTTP/01.1",
        "GET TARGET/two",
        "GET TARGET/two\0 HTTP/1.1",
        "GET TARGET/t wo HTTP/1.1",
        " GET TARGET/two HTTP/1.1",
        "GET TARGET\\two HTTP/1.1",
        "G(T TARGET/two HTTP/1.1",
    ];
    let shapes = lines.map(|line| format!("{}{line}\r\nHost: ORIGIN\r\nAUTH\r\n\r\n", get("")));
    for became in every_way(shapes).await {
        became.answered(200);
        assert!(became.answer.contains("\r\n\r\nokHTTP/1.1 400 "), "{became}");
        assert_eq!((became.heard.clone(), became.seen.len()), (heard(&get("")), 1), "{became}");
        became.counted("bad_request");
    }
}

#[tokio::test]
async fn lines_that_end_without_a_carriage_return_are_passed_on_with_one() {
    let request = get("X: 1\r\n");
    for became in every_way([request.replace('\r', "")]).await {
        became.went_through(&heard(&request), &[""]);
    }
}

#[tokio::test]
async fn a_request_in_a_body_is_a_body() {
    let body = HIDDEN.replace("ORIGIN", "a.example");
    let request = post(&format!("Content-Length: {}\r\n", body.len()), &body);
    for became in every_way([&request]).await {
        became.went_through(&heard(&request), &[&body]);
    }
}

#[tokio::test]
async fn what_stands_beside_a_chunks_size_stays_here() {
    for lines in
        ["4;ext=1\r\nabcd\r\n0;last\r\n\r\n", "0004 \r\nabcd\r\n000\r\n\r\n", "4 \t;a=\"b\"\r\nabcd\r\n0 \r\n\r\n"]
    {
        for became in every_way([chunked(lines)]).await {
            became.went_through(&heard(&chunked("4\r\nabcd\r\n0\r\n\r\n")), &["abcd"]);
        }
    }
}

/// After a chunk that is one, `rest` is none: the client is told, and the origin never gets an end.
async fn chunks_cut(rest: &[&str]) {
    let shapes = rest.iter().map(|rest| chunked(&format!("4\r\nabcd\r\n{rest}\r\n\r\n{HIDDEN}")));
    for became in every_way(shapes).await {
        became.answered(400);
        assert!(became.answer.ends_with("{\"error\":\"bad_request\",\"reason\":\"request_body\"}\n"), "{became}");
        became.was_cut("abcd");
        became.counted("bad_request");
    }
}

#[tokio::test]
async fn a_chunk_line_that_ends_without_a_carriage_return_ends_the_body_unfinished() {
    chunks_cut(&["0\n", "4\nefgh\n0\n", "0;a\n", "0\r\r\n"]).await;
}

#[tokio::test]
async fn a_chunk_longer_than_its_size_ends_the_body_unfinished() {
    for became in every_way([chunked("4\r\nabcdX\r\n0\r\n\r\n"), chunked("4\r\nabcd\n0\r\n\r\n")]).await {
        became.was_cut("abcd");
        became.answered(400);
    }
}

#[tokio::test]
async fn a_chunk_size_that_is_no_number_ends_the_body_unfinished() {
    chunks_cut(&["+0", "-0", "0x0", "0 0", "g", "", " 0", "0_0", "\0"]).await;
}

#[tokio::test]
async fn a_chunk_size_that_no_counter_holds_ends_the_body_unfinished() {
    chunks_cut(&["10000000000000000", "fffffffffffffffff", &"f".repeat(300)]).await;
}

#[tokio::test]
async fn a_chunk_extension_without_end_ends_the_body_unfinished() {
    chunks_cut(&[&format!("4;{}", "x".repeat(20 << 10))]).await;
}

#[tokio::test]
async fn a_chunk_that_does_not_come_is_waited_for_and_never_made_up() {
    for became in every_way([chunked("4\r\nabcd\r\n7fffffffffffffff\r\n")]).await {
        became.was_cut("abcd");
    }
}

#[tokio::test]
async fn a_trailer_section_that_is_none_ends_the_body_unfinished() {
    chunks_cut(&["0\r\nX : 1", "0\r\nX: \0", "0\r\nno colon", "0\r\nX: a\r\n b"]).await;
}

#[tokio::test]
async fn a_trailer_that_would_frame_or_route_a_message_stays_here() {
    let fields = "Transfer-Encoding: chunked\r\nTrailer: Content-Length, Host, Transfer-Encoding, X-T\r\n";
    let trailers =
        "Content-Length: 3\r\nHost: evil.example\r\nTransfer-Encoding: chunked\r\nX-T: 1\r\nX-Unannounced: 2\r\n";
    for became in every_way([post(fields, &format!("4\r\nabcd\r\n0\r\n{trailers}\r\n"))]).await {
        became.went_through(&heard(&post(fields, "4\r\nabcd\r\n0\r\nx-t: 1\r\n\r\n")), &["abcd"]);
        assert_eq!(became.seen[0].trailers.len(), 5, "the scanner is shown them all");
    }
}

#[tokio::test]
async fn two_hosts_or_an_empty_one_pass_and_are_told_to_disagree() {
    let shapes = ["Host: ORIGIN\r\nHost: evil.example\r\n", "Host: evil.example\r\nHost: ORIGIN\r\n", "Host:\r\n"];
    for hosts in shapes {
        let request = get("").replace("Host: ORIGIN\r\n", hosts);
        for became in every_way([&request]).await {
            became.went_through(&heard(&request), &[""]);
            assert!(!became.seen[0].head.route.names_agree, "{became}");
            assert_eq!(became.seen[0].head.route.host, "127.0.0.1", "where the bytes really went");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_host_gets_that_of_where_it_goes() {
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let request = get("").replace("Host: ORIGIN\r\n", "").replace("HTTP/1.1", version);
        for became in every_way([&request]).await {
            became.went_through("GET / HTTP/1.1\r\nhost: ORIGIN\r\n\r\n", &[""]);
            assert!(became.seen[0].head.route.names_agree, "{became}");
        }
    }
}

#[tokio::test]
async fn a_target_that_names_another_place_within_a_tunnel_goes_where_the_tunnel_goes() {
    let targets =
        ["http://evil.example/p", "https://evil.example/p", "http://ORIGIN@evil.example/p", "ftp://evil.example/p"];
    for target in targets {
        let request = get("").replace("TARGET/", target);
        for became in every_way([&request]).await.iter().filter(|became| became.way != Way::Plain) {
            became.went_through("GET /p HTTP/1.1\r\nHost: ORIGIN\r\n\r\n", &[""]);
            let head = &became.seen[0].head;
            assert_eq!((head.route.names_agree, &head.route.host[..]), (false, "127.0.0.1"), "{became}");
            let StartLine::Request { target: shown, .. } = &head.start else { panic!("a request") };
            assert!(shown.ends_with(b"evil.example/p"), "{became}: shown as the client wrote it");
        }
    }
}

#[tokio::test]
async fn who_asks_for_a_tunnel_in_any_form_within_one_is_refused() {
    let lines = [
        "CONNECT evil.example:443",
        "connect evil.example:443",
        "CONNECT http://evil.example/",
        "GET evil.example:443",
    ];
    for became in every_way(lines.map(|line| format!("{line} HTTP/1.1\r\nHost: ORIGIN\r\nAUTH\r\n\r\n"))).await {
        if became.way != Way::Plain {
            became.was_refused(400);
        }
    }
}
