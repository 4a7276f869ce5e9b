//! The port: off unless asked for, and open to nobody but a program of this
//! machine that has a token.

use std::os::unix::fs::PermissionsExt;

use thrall_tests::http::{Answer, At, send};
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;

fn served() -> (TestHome, Serving, At) {
    let home = TestHome::new();
    home.configure("[http]\nlisten = \"127.0.0.1:0\"\n");
    let serving = Serving::ready(home.spawn(&["serve"]));
    let token = std::fs::read_to_string(home.path("state/tokens/agent")).unwrap();
    let at = At::Port { port: serving.port(), token: token.trim().to_owned() };
    (home, serving, at)
}

fn health(at: &At, headers: &[(&str, &str)]) -> Answer {
    send(at, "GET", "/health", headers, b"").unwrap()
}

#[test]
fn without_http_there_is_no_port_and_no_token() {
    let home = TestHome::new();
    let serving = Serving::ready(home.spawn(&["serve"]));
    assert!(!serving.said().iter().any(|line| line.starts_with("HTTP on")));
    assert!(!home.path("state/tokens").exists());
    home.configure("[http]\nlisten = \"0.0.0.0:7171\"\n");
    let refused = home.run(&["doctor"]);
    assert!(refused.stdout.contains("an address of this machine alone"), "{refused:?}");
}

#[test]
fn without_the_right_token_there_is_only_a_challenge() {
    let (home, serving, at) = served();
    let At::Port { port, token } = &at else { panic!("{at:?}") };
    assert_eq!(health(&at, &[]).status, 200);
    let no_token = At::Port { port: *port, token: String::new() };
    let answer = health(&no_token, &[]);
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.head.to_lowercase().contains("www-authenticate: bearer"), "{answer:?}");
    assert_eq!(answer.body["type"], "urn:thrall:problem:unauthorized");
    let bearer = format!("Bearer {token}");
    for wrong in [
        format!("Bearer {}", "0".repeat(64)),
        format!("Bearer {}", &token[..63]),
        format!("Bearer {token}0"),
        format!("Bearer {}", token.to_uppercase()),
        format!("Basic {token}"),
        token.clone(),
        "Bearer ".to_owned(),
    ] {
        let answer = health(&no_token, &[("Authorization", &wrong)]);
        assert_eq!(answer.status, 401, "{wrong}: {answer:?}");
    }
    let twice = health(&no_token, &[("Authorization", &bearer), ("Authorization", "Bearer x")]);
    assert_eq!(twice.status, 401, "{twice:?}");
    let in_url = send(&no_token, "GET", &format!("/health?access_token={token}"), &[], b"");
    assert_eq!(in_url.unwrap().status, 401);
    // Also for what is not there: without a token nobody learns which routes are.
    assert_eq!(send(&no_token, "GET", "/nothing", &[], b"").unwrap().status, 401);
    let mode = std::fs::metadata(home.path("state/tokens/operator")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(serving);
    let again = Serving::ready(home.spawn(&["serve"]));
    let at = At::Port { port: again.port(), token: token.clone() };
    assert_eq!(health(&at, &[]).status, 200, "tokens stay the same");
}

#[test]
fn a_page_in_a_browser_gets_nothing_even_with_a_token() {
    let (_home, _serving, at) = served();
    let At::Port { port, .. } = &at else { panic!("{at:?}") };
    let own = format!("localhost:{port}");
    assert_eq!(health(&at, &[("Host", &own)]).status, 200);
    let rebound = format!("evil.example:{port}");
    for host in ["evil.example", &rebound, "127.0.0.1", "localhost", "0.0.0.0", ""] {
        let answer = health(&at, &[("Host", host)]);
        assert!(
            answer.status == 421 && answer.body["type"] == "urn:thrall:problem:wrong_host",
            "{host}: {answer:?}"
        );
    }
    let two = health(&at, &[("Host", &own), ("Host", "evil.example")]);
    assert!(matches!(two.status, 400 | 421), "{two:?}");
    let absolute = send(&at, "GET", &format!("http://evil.example:{port}/health"), &[], b"");
    assert_eq!(absolute.unwrap().status, 421);
    for origin in ["http://evil.example", "null", "https://evil.example", &format!("https://{own}")]
    {
        let answer = health(&at, &[("Origin", origin)]);
        assert_eq!(answer.status, 403, "{origin}: {answer:?}");
        assert!(!answer.head.to_lowercase().contains("access-control"), "{answer:?}");
    }
    assert_eq!(health(&at, &[("Origin", &format!("http://{own}"))]).status, 200);
}
