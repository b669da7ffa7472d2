use super::*;
use crate::config::tests;

/// A configuration; its folders are the same, whatever it says else.
fn file(text: &str) -> Result<Config, String> {
    let read = tests::file(text)?;
    let Config { home, log_dir, export_dir, keys_dir, .. } = Config::defaults("/h".into(), "/u".into());
    Ok(Config { home, log_dir, export_dir, keys_dir, ..read })
}

fn weaker(before: &str, after: &str) -> Vec<&'static str> {
    let words = file(after).unwrap().weaker_than(&file(before).unwrap());
    words.into_iter().map(Weakening::as_str).collect()
}

const AUDIENCE: &str = "[[audience]]\nscheme = \"http\"\nhost = \"h\"\nport = 1\nvendors = [\"openai\"]\n";
const SUPPRESS: &str = "[[suppress]]\nfingerprint = \"0123456789abcdef\"\nreason = \"known\"\nuntil = \"2027-01-31\"\n";

const KNOWN: &str = "[known_secrets]\nenabled = true\nvariables = [\"A\", \"B\"]\n";

#[test]
fn what_is_weaker_is_named_and_what_is_stronger_is_not() {
    let longer = SUPPRESS.replace("2027-01-31", "2027-02-01");
    let wider = AUDIENCE.replace("[\"openai\"]", "[\"openai\", \"groq\"]");
    for (before, after, word) in [
        ("", AUDIENCE, "audience"),
        (AUDIENCE, wider.as_str(), "audience"),
        ("", "export_every = \"2m\"", "export_period"),
        ("", "[fold]\nwindow = \"20m\"", "fold"),
        ("", "[fold]\nopen_max = 16", "fold"),
        (KNOWN, "", "known_secrets"),
        (KNOWN, "[known_secrets]\nenabled = true\nvariables = [\"B\"]", "known_secrets"),
        ("pass_through = [\"a\"]", "pass_through = [\"a\", \"b\"]", "pass_through"),
        ("", "[retention]\nmax_bytes = \"32MiB\"", "retention"),
        ("", "[retention]\nmax_age_days = 7", "retention"),
        ("", "[scan]\nmax_depth = 4", "scan_bounds"),
        ("", "[scan]\nmax_ratio = 10", "scan_bounds"),
        ("", SUPPRESS, "suppress"),
        (SUPPRESS, longer.as_str(), "suppress"),
    ] {
        assert_eq!(weaker(before, after), [word], "{after}");
        assert_eq!(weaker(after, before), [""; 0], "{after}");
    }
    assert_eq!(
        weaker("", &format!("export_every = \"2m\"\n{AUDIENCE}{SUPPRESS}")),
        ["audience", "export_period", "suppress"]
    );
    assert_eq!(weaker("pass_through = [\"a\"]", "pass_through = [\"b\"]"), ["pass_through"], "one for another");
    assert_eq!(weaker("", "[timeouts]\ndial = \"1s\""), [""; 0]);
}

#[test]
fn a_running_monitor_takes_on_what_it_can_and_the_rest_is_named() {
    let running = file("").unwrap();
    for (text, waits) in [
        (AUDIENCE, &[][..]),
        (SUPPRESS, &[]),
        (KNOWN, &[]),
        ("export_every = \"2m\"\n[scan]\nmax_depth = 4\n[retention]\nmax_age_days = 7\n[fold]\nwindow = \"20m\"", &[]),
        ("listen = \"127.0.0.1:1\"\ninspect_https = true", &["listen", "inspect_https"]),
        ("proxy_url = \"http://u:p@proxy.test:1\"", &["proxy_url"]),
        ("[timeouts]\ndial = \"1s\"", &["timeouts.dial"]),
        ("[scan]\nqueue_bytes = \"16MiB\"", &["scan.queue_bytes"]),
    ] {
        let read =
            Config { home: running.home.clone(), hermes_home: running.hermes_home.clone(), ..file(text).unwrap() };
        let next = running.reloaded_as(&read);
        assert_eq!(read.differing(&next), waits, "{text}");
        assert_eq!(next == running, !waits.is_empty(), "{text}");
    }
    let other = file("proxy_url = \"http://u:q@proxy.test:1\"").unwrap();
    assert_eq!(other.differing(&file("proxy_url = \"http://u:p@proxy.test:1\"").unwrap()), ["proxy_url"]);
}

#[test]
fn a_queue_too_small_for_longer_messages_keeps_the_bounds_as_they_were() {
    let running = file("[scan]\nqueue_bytes = \"8MiB\"").unwrap();
    let read = file("[scan]\nmax_scan_bytes = \"16MiB\"\nqueue_bytes = \"64MiB\"").unwrap();
    assert_eq!(running.reloaded_as(&read).scan, running.scan);
    assert_eq!(read.differing(&running.reloaded_as(&read)), ["scan.max_scan_bytes", "scan.queue_bytes"]);
}
