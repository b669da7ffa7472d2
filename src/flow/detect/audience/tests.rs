use super::*;
use crate::flow::detect::{matcher::Matcher, rule::expand};
use posture::Direction;
use std::net::{IpAddr, Ipv4Addr};

fn to(host: &str) -> Route {
    Route {
        protocol: Protocol::Https,
        host: host.into(),
        port: HTTPS_PORT,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        names_agree: true,
        verified_tls: true,
    }
}

fn in_header(name: &str) -> View<'_> {
    View { placement: Placement::Header, name: Some(name.as_bytes()), ..View::plain(b"") }
}

/// How the first match in `text` is judged.
fn judge(audience: &Audience, view: View<'_>, text: &str, route: &Route) -> Judgement {
    let text = expand(text);
    let view = View { text: text.as_bytes(), ..view };
    let mut judgement = None;
    Matcher::new(RuleSet::embedded()).find(Direction::Outbound, &view, &mut |m| {
        judgement.get_or_insert(audience.judge(&m, &view, route));
    });
    judgement.expect("the text holds a key")
}

const OPENAI: &str = "Bearer sk-proj-{{alnum:20}}T3BlbkFJ{{alnum:20}}";
const HIGH: Judgement = Judgement::Finding(Severity::High);

#[test]
fn a_key_in_its_own_vendors_header_is_expected() {
    for (key, header, host) in [
        (OPENAI, "Authorization", "api.openai.com"),
        (OPENAI, "authorization", "api.openai.com."),
        ("sk-ant-api03-{{word:93}}AA", "X-Api-Key", "api.anthropic.com"),
        ("Bearer sk-{{hex:32}}", "Authorization", "api.deepseek.com"),
        ("Bearer sk-{{hex:32}}", "Authorization", "dashscope-intl.aliyuncs.com"),
        ("AIza{{word:35}}", "x-goog-api-key", "generativelanguage.googleapis.com"),
        (
            "AWS4-HMAC-SHA256 Credential=AKIA{{base32:16}}/20260101/us-east-1/bedrock/aws4_request",
            "Authorization",
            "bedrock-runtime.us-east-1.amazonaws.com",
        ),
        ("{{alnum:52}}JQQJ99{{alnum:26}}", "api-key", "my-resource.openai.azure.com"),
        ("AIza{{word:35}}", "x-goog-api-key", "us-central1-aiplatform.googleapis.com"),
        ("sk-or-v1-{{hex:64}}", "x-api-key", "openrouter.ai"),
        (
            "realtime, openai-insecure-api-key.sk-proj-{{alnum:20}}T3BlbkFJ{{alnum:20}}, openai-beta.realtime-v1",
            "Sec-WebSocket-Protocol",
            "api.openai.com",
        ),
    ] {
        assert_eq!(judge(&Audience::default(), in_header(header), key, &to(host)), Judgement::Expected, "{host}");
    }
}

#[test]
fn a_key_in_its_vendors_query_or_path_is_expected() {
    let query = View { placement: Placement::Query, ..in_header("key") };
    let google = to("generativelanguage.googleapis.com");
    assert_eq!(judge(&Audience::default(), query, "AIza{{word:35}}", &google), Judgement::Expected);
    let query = View { placement: Placement::Query, ..in_header("tavilyApiKey") };
    assert_eq!(judge(&Audience::default(), query, "tvly-dev-{{alnum:32}}", &to("mcp.tavily.com")), Judgement::Expected);
    let path = View { placement: Placement::Path, name: None, ..in_header("") };
    let firecrawl = "/fc-{{hex:32}}/v2/mcp";
    assert_eq!(judge(&Audience::default(), path, firecrawl, &to("mcp.firecrawl.dev")), Judgement::Expected);
    assert_eq!(judge(&Audience::default(), path, firecrawl, &to("mcp.tavily.com")), HIGH);
    let key = "/bot{{digits:10}}:AA{{word:33}}/getMe";
    assert_eq!(judge(&Audience::default(), path, key, &to("api.telegram.org")), Judgement::Expected);
    assert_eq!(judge(&Audience::default(), path, key, &to("api.telegram.org.evil.test")), HIGH);
}

#[test]
fn the_same_key_elsewhere_is_a_finding() {
    for host in [
        "api.openai.com.evil.test",
        "evil-api.openai.com",
        "xapi.openai.com",
        "openai.com",
        "api.openai.co",
        "api-openai.com",
        "a.api.openai.com",
        "api.anthropic.com",
        "127.0.0.1",
        "",
        ".",
        "api..openai.com",
        "api.openai.com..",
    ] {
        assert_eq!(judge(&Audience::default(), in_header("Authorization"), OPENAI, &to(host)), HIGH, "{host}");
    }
}

#[test]
fn the_same_key_in_another_place_is_a_finding() {
    let header = in_header("Authorization");
    for view in [
        View { placement: Placement::Body, name: None, ..header },
        View { placement: Placement::Body, ..header },
        View { placement: Placement::Trailer, ..header },
        View { placement: Placement::Query, ..header },
        View { placement: Placement::Path, name: None, ..header },
        in_header("X-Note"),
        in_header("Cookie"),
        View { name: None, ..header },
    ] {
        assert_eq!(judge(&Audience::default(), view, OPENAI, &to("api.openai.com")), HIGH);
    }
}

#[test]
fn an_unproven_way_is_a_finding() {
    let own = || to("api.openai.com");
    for route in [
        Route { protocol: Protocol::Http, ..own() },
        Route { port: 8443, ..own() },
        Route { names_agree: false, ..own() },
        Route { verified_tls: false, ..own() },
    ] {
        assert_eq!(judge(&Audience::default(), in_header("Authorization"), OPENAI, &route), HIGH);
    }
}

#[test]
fn a_shared_domain_is_no_audience() {
    let aws = "Credential=AKIA{{base32:16}}/2026";
    for host in [
        "bucket.s3.us-east-1.amazonaws.com",
        "x.execute-api.us-east-1.amazonaws.com",
        "evil.amazonaws.com",
        "a.b.openai.azure.com",
    ] {
        assert_eq!(judge(&Audience::default(), in_header("Authorization"), aws, &to(host)), HIGH, "{host}");
    }
    assert_eq!(
        judge(&Audience::default(), in_header("Authorization"), "hf_{{letters:34}}", &to("evil.hf.space")),
        HIGH
    );
    for host in [
        "storage.googleapis.com",
        "us-central1-aiplatform.storage.googleapis.com",
        "-aiplatform.googleapis.com",
        "a%2e-aiplatform.googleapis.com",
        "evil,-aiplatform.googleapis.com",
        "us-central1-aiplatformx.googleapis.com",
        "us-central1-aiplatform.googleapis.com.evil.test",
        "x.us-central1-aiplatform.googleapis.com",
    ] {
        let header = in_header("x-goog-api-key");
        assert_eq!(judge(&Audience::default(), header, "AIza{{word:35}}", &to(host)), HIGH, "{host}");
    }
}

#[test]
fn a_second_credential_to_one_vendor_is_a_low_finding() {
    let audience = Audience::default();
    let header = in_header("Authorization");
    let other = "Bearer sk-proj-{{word:58}}T3BlbkFJ{{word:58}}";
    assert_eq!(judge(&audience, header, OPENAI, &to("api.openai.com")), Judgement::Expected);
    assert_eq!(judge(&audience, header, other, &to("api.openai.com")), Judgement::Finding(Severity::Low));
    assert_eq!(judge(&audience, header, OPENAI, &to("api.openai.com")), Judgement::Expected);
    assert_eq!(judge(&audience, header, other, &to("eu.api.openai.com")), Judgement::Expected);
}

#[test]
fn an_operators_own_server_is_an_audience_only_as_written() {
    let entry =
        Entry { scheme: Protocol::Http, host: "llm.corp.test".into(), port: 8080, vendors: vec!["openai".into()] };
    let audience = Audience::new(RuleSet::embedded(), &[entry]);
    let own = || Route { protocol: Protocol::Http, port: 8080, verified_tls: false, ..to("llm.corp.test") };
    let header = in_header("Authorization");
    assert_eq!(judge(&audience, header, OPENAI, &own()), Judgement::Expected);
    for route in [
        Route { port: 8081, ..own() },
        Route { protocol: Protocol::Https, ..own() },
        Route { host: "x.llm.corp.test".into(), ..own() },
        Route { names_agree: false, ..own() },
    ] {
        assert_eq!(judge(&audience, header, OPENAI, &route), HIGH);
    }
    assert_eq!(judge(&audience, header, "gsk_{{alnum:52}}", &own()), HIGH);
    assert_eq!(judge(&audience, in_header("X-Note"), OPENAI, &own()), HIGH);
    let body = View { placement: Placement::Body, name: None, ..header };
    assert_eq!(judge(&audience, body, OPENAI, &own()), HIGH);
}

#[test]
fn a_path_in_hermes_own_instructions_is_expected_and_a_key_there_is_not() {
    let body = View { placement: Placement::Body, name: None, ..in_header("") };
    let system = View { voice: Voice::System, ..body };
    let anywhere = to("openrouter.ai");
    assert_eq!(judge(&Audience::default(), system, "keys stand in ~/.hermes/.env", &anywhere), Judgement::Expected);
    assert_eq!(
        judge(&Audience::default(), body, "keys stand in ~/.hermes/.env", &anywhere),
        Judgement::Finding(Severity::Low)
    );
    assert_eq!(judge(&Audience::default(), system, OPENAI, &anywhere), HIGH);
}

#[test]
fn every_host_in_the_table_is_one_only_its_vendor_can_publish_under() {
    for vendor in RuleSet::embedded().vendors() {
        for host in &vendor.hosts {
            assert!(host.split('.').count() >= 2 && *host == host.to_ascii_lowercase(), "{host}");
            let fixed: Vec<_> = host.split('.').filter(|l| *l != "*").collect();
            assert!(fixed.len() >= 3 || !host.contains('*'), "{host}");
            for shared in
                ["*.amazonaws.com", "*.googleapis.com", "*.hf.space", "*.run.app", "*.workers.dev", "*.vercel.app"]
            {
                assert_ne!(host, shared);
            }
        }
    }
}
