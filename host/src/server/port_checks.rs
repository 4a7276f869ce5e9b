//! What a request at the port has to say before it is looked at: the right
//! host, no foreign origin, a token. Pure, on text. A page in a browser of this
//! machine can send requests to the port; it cannot send the right `Host` or a
//! token, and what it sends carries its `Origin`.

use std::net::SocketAddr;

const HTTP_PORT: u16 = 80;

/// Whether a `Host` names this port: the address that it listens on,
/// `localhost` or `127.0.0.1`, with the port.
pub(super) fn is_own_host(host: &str, own: SocketAddr) -> bool {
    let names = [
        own.ip().to_string(),
        format!("[{}]", own.ip()),
        "127.0.0.1".to_owned(),
        "localhost".to_owned(),
    ];
    let (name, port) = match host.rsplit_once(':') {
        // A colon inside of brackets belongs to the address.
        Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().ok()),
        _ => (host, Some(HTTP_PORT)),
    };
    let is_plain = !own.is_ipv6() || !name.contains(':') || name.starts_with('[');
    is_plain && port == Some(own.port()) && names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether an `Origin` is this port itself.
pub(super) fn is_own_origin(origin: &str, own: SocketAddr) -> bool {
    origin.strip_prefix("http://").is_some_and(|host| is_own_host(host, own))
}

/// The token of an `Authorization` header.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> SocketAddr {
        "127.0.0.1:7171".parse().unwrap()
    }

    #[test]
    fn only_this_ports_own_names_are_hosts() {
        for good in ["127.0.0.1:7171", "localhost:7171", "LOCALHOST:7171"] {
            assert!(is_own_host(good, own()), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost:71710",
            "evil.example:7171",
            "localhost.evil.example:7171",
            "localhost:7171.evil.example",
            "127.0.0.1:7171:7171",
            "user@127.0.0.1:7171",
            "127.1:7171",
            "[::1]:7171",
            "0.0.0.0:7171",
            "localhost:",
            "localhost:+7171x",
            " localhost:7171",
        ] {
            assert!(!is_own_host(bad, own()), "{bad}");
        }
        let six: SocketAddr = "[::1]:7171".parse().unwrap();
        assert!(is_own_host("[::1]:7171", six) && is_own_host("localhost:7171", six));
        assert!(
            !is_own_host("[::2]:7171", six)
                && !is_own_host("::1:7171", six)
                && !is_own_host("[::1]", six)
        );
        let plain: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert!(is_own_host("localhost", plain) && is_own_host("127.0.0.1:80", plain));
    }

    #[test]
    fn a_page_of_another_host_is_foreign() {
        assert!(is_own_origin("http://localhost:7171", own()));
        for bad in [
            "null",
            "http://evil.example",
            "https://localhost:7171",
            "localhost:7171",
            "http://localhost:3000",
        ] {
            assert!(!is_own_origin(bad, own()), "{bad}");
        }
    }

    #[test]
    fn the_token_stands_behind_its_scheme() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for bad in ["", "abc", "Basic abc", "Bearer", "Bearerabc"] {
            assert_eq!(bearer(bad), None, "{bad}");
        }
    }
}
