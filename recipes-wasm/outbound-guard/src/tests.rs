use proptest::prelude::*;

use super::*;
use crate::kind::Kind;

fn config(toml_as_json: &str) -> Config {
    let situation = Situation {
        config: format!("{{\"stage\": {{}}, \"config\": {toml_as_json}}}"),
        ..Situation::default()
    };
    config::user(&situation).unwrap()
}

fn found(text: &str) -> Vec<(Kind, &str)> {
    scan(text, &Config::default())
        .iter()
        .map(|one| (one.kind, text.get(one.from..one.to).unwrap()))
        .collect()
}

fn judged(body: &str, config: &Config) -> Verdict {
    let fields = vec![Field::new("body_text", body), Field::new("to_node", "ab".repeat(32))];
    judge(&Envelope { fields, ..Envelope::default() }, config)
}

// Taken apart, so that nobody's scanner takes this file for a leak.
const HEX: &str = "3f9a1c7be2d84460957ab3c1d0e8f7254a6b9c8d7e0f112233445566778899aa";
const JWT: &str = concat!(
    "eyJhbGciOiJIUzI1NiJ9",
    ".eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
);
const SEED: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

#[test]
fn secrets_are_found_whole() {
    let pem = concat!(
        "-----BEGIN OPENSSH PRIVATE",
        " KEY-----\nb3BlbnNz\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
    );
    let aws = concat!("AKIA", "IOSFODNN7EXAMPLE");
    let github = concat!("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a");
    let cases: [(&str, Kind, &str); 16] = [
        (&format!("see\n{pem}\nthanks"), Kind::PrivateKey, pem),
        (&format!("aws: {aws}."), Kind::CloudKey, aws),
        (&format!("push with {github}, please"), Kind::Token, github),
        (&format!("token={JWT}"), Kind::Token, JWT),
        (&format!("curl -H 'Authorization: Bearer {HEX}' x"), Kind::Token, HEX),
        (
            "bot 123456789:AAF0o-1lyQ8ZrT5bLkW2xNcVd3EsGhJmPqR here",
            Kind::Token,
            "123456789:AAF0o-1lyQ8ZrT5bLkW2xNcVd3EsGhJmPqR",
        ),
        ("api_key=9fK2mQ7xW4pL8vR3", Kind::Secret, "9fK2mQ7xW4pL8vR3"),
        ("{\"apiKey\": \"9fK2mQ7xW4pL8vR3\"}", Kind::Secret, "9fK2mQ7xW4pL8vR3"),
        ("my API key is 9fK2mQ7xW4pL8vR3.", Kind::Secret, "9fK2mQ7xW4pL8vR3."),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            Kind::Secret,
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        (&format!("seed: {HEX}"), Kind::Secret, HEX),
        (&format!("the node's secret {HEX} is this"), Kind::Secret, HEX),
        ("DB_PASSWORD=hunter2hunter2", Kind::Secret, "hunter2hunter2"),
        ("password: Tr0ub4dor&3", Kind::Secret, "Tr0ub4dor&3"),
        ("postgres://app:s3cr3t@db.internal/x", Kind::Secret, "s3cr3t@db.internal"),
        (&format!("words: {SEED}!"), Kind::Mnemonic, SEED),
    ];
    for (text, kind, part) in cases {
        assert_eq!(found(text), [(kind, part)], "{text}");
        assert_eq!(judged(text, &Config::default()).action, "block", "{text}");
    }
    let numbered: String = SEED
        .split(' ')
        .enumerate()
        .map(|(n, word)| format!("{}. {}\n", n + 1, word.to_uppercase()))
        .collect();
    assert!(matches!(found(&numbered).as_slice(), [(Kind::Mnemonic, _)]), "{numbered}");
    let bytes: Vec<String> = (0..64).map(|n| (n * 37 % 256).to_string()).collect();
    assert!(matches!(
        found(&format!("[{}]", bytes.join(", "))).as_slice(),
        [(Kind::PrivateKey, _)]
    ));
    assert_eq!(found(&format!("[{}]", bytes[1..].join(", "))), []);
}

#[test]
fn personal_data_is_found_and_taken_out() {
    let cases = [
        ("write to jane.doe+x@mail.example.org.", Kind::Email, "jane.doe+x@mail.example.org"),
        ("<müller@exämple.de>", Kind::Email, "müller@exämple.de"),
        ("call +49 (30) 901820-44 today", Kind::Phone, "+49 (30) 901820-44"),
        ("ring 0049 30 90182044", Kind::Phone, "0049 30 90182044"),
        ("0151/23456789 is mine", Kind::Phone, "0151/23456789"),
        ("(415) 555-2671", Kind::Phone, "(415) 555-2671"),
        ("1-415-555-2671", Kind::Phone, "1-415-555-2671"),
        ("Tel: 5552671", Kind::Phone, "5552671"),
        ("pay to DE89 3704 0044 0532 0130 00 soon", Kind::Iban, "DE89 3704 0044 0532 0130 00"),
        ("GB82WEST12345698765432", Kind::Iban, "GB82WEST12345698765432"),
        ("card 4111 1111 1111 1111, 12/29", Kind::Card, "4111 1111 1111 1111"),
        ("5500000000000004", Kind::Card, "5500000000000004"),
        ("3782-822463-10005", Kind::Card, "3782-822463-10005"),
    ];
    for (text, kind, part) in cases {
        assert_eq!(found(text), [(kind, part)], "{text}");
        let verdict = judged(text, &Config::default());
        assert_eq!(verdict.action, "redact", "{text}");
        let clean = text.replace(part, &format!("[REDACTED:{}]", kind.word()));
        assert_eq!(verdict.field("body"), Some(clean.as_str()));
        assert!(!verdict.reason.contains(part), "{}", verdict.reason);
    }
}

#[test]
fn ordinary_mail_passes() {
    let texts = [
        "Thanks, the relay has been up since 2024-03-01 10:20:30 UTC; 99.95 % of 1,234,567 requests were fine.",
        "Please set the API key in your environment and rotate the token every month. The password is required.",
        "The secret is to start early. My password manager asks for a passphrase: choose a long one.",
        "token: digest-voice-lite2, max_tokens: 1024, random seed: 42, seed = 1234567890123456",
        "password: see-section-4 of /home/user1/readme2, pwd: /var/lib/node1/data2",
        "api_key = ${API_KEY}, token=$TOKEN, password=your-password-1, secret: xxxxxxxxxxxxxxxx",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 fixes it, see git@github.com:knarr/knarr.git",
        "uuid 550e8400-e29b-41d4-a716-446655440000, order 4000123412341235, invoice 2024000123456789",
        "version 10.11.12-rc.3, 192.168.178.20:8080, http://127.0.0.1:7171/thrall, 01.02.2024, 3.14159265358979",
        "+1.23456789 and -0.5 and 1+12345678 are numbers; 12:30:45 is a time, 1700000000000 too",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----",
        "We zoo about the abandon ability of winner and thank year; the word list has sausage and worth in it.",
        "ASIA2024CONFERENCEPROGRAM and AKIA, sk-learn-based-classifiers-2024 with hf_transfer",
        "DE00 3704 0044 0532 0130 00 and GB82 TEST are no accounts; @here, a@b, x@1.2.3",
        "für @alle: l'été à Zürich kostet 12,50 €, siehe §4",
        "",
    ];
    for text in texts {
        assert_eq!(found(text), [], "{text}");
        assert_eq!(judged(text, &Config::default()).action, "pass");
    }
    let ids = format!(
        "node_id {HEX} public_key: {HEX} from_node={HEX} sha256:{HEX} tx 0x{HEX} the token of {HEX} was spent"
    );
    assert_eq!(found(&ids), [], "node ids and hashes are public");
}

#[test]
fn the_reason_counts_and_never_quotes() {
    let text = format!("a@example.org, b@example.org, key {}", concat!("AKIA", "IOSFODNN7EXAMPLE"));
    let verdict = judged(&text, &Config::default());
    assert_eq!(
        (verdict.action.as_str(), verdict.reason.as_str()),
        ("block", "found 1 cloud_key, 2 email")
    );
    assert!(verdict.fields.is_empty());
}

#[test]
fn the_table_says_what_becomes_of_each_kind() {
    let text = "me@example.org +49 30 1234567 and you@example.com";
    let own = config(r#"{"allow": ["ME@example.org", "+49 (30) 123-4567"]}"#);
    let verdict = judged(text, &own);
    assert_eq!(verdict.field("body"), Some("me@example.org +49 30 1234567 and [REDACTED:email]"));
    let domain = config(r#"{"allow": ["@example.com", "@ample.org"]}"#);
    assert_eq!(
        judged(text, &domain).field("body"),
        Some("[REDACTED:email] [REDACTED:phone] and you@example.com")
    );
    let strict = config(r#"{"email": "block", "phone": "pass"}"#);
    assert_eq!(judged(text, &strict).action, "block");
    let lenient = config(r#"{"email": "pass", "phone": "pass"}"#);
    assert_eq!(judged(text, &lenient).reason, "found 1 phone, 2 email, all of it allowed");
    let secret = config(r#"{"secret": "redact"}"#);
    let verdict = judged("password: Tr0ub4dor&3 again", &secret);
    assert_eq!(verdict.field("body"), Some("password: [REDACTED:secret] again"));
}

#[test]
fn a_mistake_in_the_table_stops_the_mail() {
    for (table, said) in [(r#"{"emial": "pass"}"#, "emial"), (r#"{"email": "alow"}"#, "alow")] {
        let situation = Situation {
            config: format!("{{\"stage\": {{}}, \"config\": {table}}}"),
            ..Situation::default()
        };
        let error = OutboundGuard::evaluate(&Envelope::default(), &situation).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_is_not_in_the_body_cannot_be_taken_out() {
    let mail = |name: &str, value: &str| {
        let fields = vec![Field::new("body_text", "hello"), Field::new(name, value)];
        judge(&Envelope { fields, ..Envelope::default() }, &Config::default())
    };
    assert_eq!(mail("subject", "for jane@example.org").action, "block");
    // A redaction replaces all of the body.
    let json = mail("body_json", r#"{"content": "hello", "cc": "jane@example.org"}"#);
    assert_eq!((json.action.as_str(), json.field("body")), ("redact", Some("hello")));
    assert_eq!(mail("session_id", "jane@example.org").action, "pass");
}

#[test]
fn a_body_that_grows_too_long_is_stopped() {
    let verdict = judged(&"a@bc.de ".repeat(8000), &Config::default());
    assert_eq!(verdict.action, "block");
    assert!(verdict.reason.ends_with("too long to be sent without it"), "{}", verdict.reason);
}

/// Pieces that the finders look for, to be put together at random.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("jane@example.org".to_owned()),
        Just("+49 30 1234567".to_owned()),
        Just("DE89370400440532013000".to_owned()),
        Just("4111-1111-1111-1111".to_owned()),
        Just("[REDACTED:email]".to_owned()),
        Just("password: ".to_owned()),
        Just("Tr0ub4dor&3".to_owned()),
        Just("http://a:bcd@".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just(SEED.to_owned()),
        Just(JWT.to_owned()),
        "[0-9 .()+/-]{0,12}",
        "[a-z@.:= ]{0,8}",
        "\\PC{0,6}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn everything_redacted() -> Config {
    let kinds: Vec<String> =
        Kind::ALL.iter().map(|kind| format!("\"{}\": \"redact\"", kind.word())).collect();
    config(&format!("{{{}}}", kinds.join(", ")))
}

proptest! {
    #[test]
    fn findings_are_apart_and_within_the_text(text in pieces()) {
        let mut last = 0;
        for one in scan(&text, &Config::default()) {
            prop_assert!(one.from >= last && one.from < one.to);
            prop_assert!(text.get(one.from..one.to).is_some(), "{one:?} in {text:?}");
            last = one.to;
        }
    }

    #[test]
    fn a_redacted_text_holds_nothing_that_is_found_and_stays_as_it_is(text in pieces()) {
        let config = everything_redacted();
        if let Some(clean) = redact(&text, &config) {
            prop_assert_eq!(scan(&clean, &config), []);
            let again = redact(&clean, &config);
            prop_assert_eq!(again.as_deref(), Some(clean.as_str()));
        }
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands(before in "[a-z ,.\n]{0,20}[ \n]", after in "[ ,\n][a-z ,.\n]{0,20}") {
        for (kind, secret) in [(Kind::Token, JWT), (Kind::Email, "jane@example.org"), (Kind::Card, "4111 1111 1111 1111")] {
            let text = format!("{before}{secret}{after}");
            prop_assert!(found(&text).iter().any(|(other, part)| *other == kind && part.contains(secret)), "{text:?}");
        }
    }

    #[test]
    fn any_text_is_judged(text in "\\PC{0,300}", name in "[a-z_]{1,12}") {
        let fields = vec![Field::new(name, text)];
        let verdict = judge(&Envelope { fields, ..Envelope::default() }, &Config::default());
        prop_assert!(["pass", "redact", "block"].contains(&verdict.action.as_str()));
    }

    #[test]
    fn prose_passes(words in proptest::collection::vec("[a-zA-Z]{1,12}", 0..60)) {
        let text = words.join(" ");
        prop_assert_eq!(found(&text), []);
    }
}
