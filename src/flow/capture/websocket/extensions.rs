//! The response that switches protocols → what both ends agreed upon beyond RFC 6455.

use hudsucker::hyper::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};

/// What both ends agreed upon beyond RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow::capture) enum Extensions {
    /// Nothing.
    None,
    /// permessage-deflate (RFC 7692): whether the client, and the server, begins each message anew.
    Deflate {
        /// `client_no_context_takeover`.
        client_anew: bool,
        /// `server_no_context_takeover`.
        server_anew: bool,
    },
    /// Something nobody here reads.
    Unknown,
}

impl Extensions {
    /// As the response that switches protocols has them (RFC 6455, section 9.1).
    pub(in crate::flow::capture) fn agreed(response: &HeaderMap) -> Self {
        let mut agreed = Self::None;
        for value in response.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            let Ok(value) = value.to_str() else { return Self::Unknown };
            for extension in value.split(',').map(str::trim).filter(|e| !e.is_empty()) {
                match Self::deflate(extension) {
                    Some(deflate) if agreed == Self::None => agreed = deflate,
                    _ => return Self::Unknown,
                }
            }
        }
        agreed
    }

    fn deflate(extension: &str) -> Option<Self> {
        let mut words = extension.split(';').map(str::trim);
        if !words.next()?.eq_ignore_ascii_case("permessage-deflate") {
            return None;
        }
        let (mut client_anew, mut server_anew) = (false, false);
        for word in words {
            match word.split_once('=').map_or(word, |(name, _)| name.trim()).to_ascii_lowercase().as_str() {
                "client_no_context_takeover" => client_anew = true,
                "server_no_context_takeover" => server_anew = true,
                // A smaller window is within the one we keep.
                "client_max_window_bits" | "server_max_window_bits" => {}
                _ => return None,
            }
        }
        Some(Self::Deflate { client_anew, server_anew })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(values: &[&str]) -> Extensions {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value.parse().unwrap());
        }
        Extensions::agreed(&headers)
    }

    #[test]
    fn one_permessage_deflate_is_read_and_nothing_else() {
        let deflate = |client_anew, server_anew| Extensions::Deflate { client_anew, server_anew };
        assert_eq!(agreed(&[]), Extensions::None);
        assert_eq!(agreed(&[""]), Extensions::None);
        assert_eq!(agreed(&["Permessage-Deflate"]), deflate(false, false));
        assert_eq!(
            agreed(&["permessage-deflate; Server_No_Context_Takeover;client_max_window_bits=10"]),
            deflate(false, true)
        );
        assert_eq!(
            agreed(&["permessage-deflate;client_no_context_takeover; server_max_window_bits = \"9\""]),
            deflate(true, false)
        );
        for unknown in [
            &["x-other"][..],
            &["permessage-deflate; x-new"],
            &["permessage-deflate, permessage-deflate"],
            &["permessage-deflate", "x-other"],
            &["permessage-bzip2"],
            &["; permessage-deflate"],
            &["permessage-deflate;"],
        ] {
            assert_eq!(agreed(unknown), Extensions::Unknown, "{unknown:?}");
        }
    }
}
