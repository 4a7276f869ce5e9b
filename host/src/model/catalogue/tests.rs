use super::*;

const ENTRY: &str = r#"
schema = 1
[[model]]
name = "tiny"
description = "a test"
kind = "chat"
architecture = "llama"
file = "tiny.gguf"
size = 10
sha256 = "00000000000000000000000000000000000000000000000000000000000000aa"
context = 128
licence = { name = "MIT", url = "https://example.org/licence" }
[[model.source]]
kind = "https"
url = "https://example.org/tiny.gguf"
"#;

fn refusal(text: &str) -> String {
    Catalogue::parse(text, "test.toml").unwrap_err().to_string()
}

#[test]
fn the_shipped_catalogue_is_valid_and_has_the_promised_models() {
    let catalogue = Catalogue::shipped().unwrap();
    let names: Vec<_> = catalogue.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["gemma3-1b", "gemma3-270m", "smollm2-135m", "all-minilm-l6-v2"]);
    let gemma = catalogue.find("gemma3-270m").unwrap();
    let Source::Pypi { parts } = &gemma.sources[0] else { panic!("{:?}", gemma.sources) };
    assert_eq!(parts.len(), 4);
    assert!(gemma.default && gemma.is_gguf());
    assert!(!catalogue.find("all-minilm-l6-v2").unwrap().is_gguf());
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let error = Catalogue::shipped().unwrap().find("gemma3:1b").unwrap_err();
    assert_eq!(error.nearest.as_deref(), Some("gemma3-1b"));
    assert!(error.to_string().contains("did you mean \"gemma3-1b\"?"), "{error}");
}

#[test]
fn each_unsafe_or_mistaken_word_is_refused_by_name() {
    let cases = [
        ("file = \"tiny.gguf\"", "file = \"../tiny.gguf\"", "plain file name"),
        ("file = \"tiny.gguf\"", "file = \"tiny.exe\"", "must end in .gguf"),
        ("name = \"tiny\"", "name = \"Tiny\"", "the name must be"),
        ("size = 10", "size = 0", "size must be"),
        ("context = 128", "context = 0", "context must be"),
        ("context = 128", "context = 128\ncontxt = 1", "contxt"),
        ("00aa\"", "\"", "SHA-256"),
        (
            "sha256 = \"00000000000000000000000000000000000000000000000000000000000000aa\"",
            "",
            "sha256",
        ),
        (
            "https://example.org/tiny.gguf",
            "http://example.org/tiny.gguf",
            "must start with https://",
        ),
        (
            "https://example.org/tiny.gguf",
            "http://127.0.0.1.example.org/x",
            "must start with https://",
        ),
        (
            "https://example.org/tiny.gguf",
            "http://127.0.0.1:80@example.org/x",
            "must start with https://",
        ),
        ("kind = \"https\"\n", "kind = \"ftp\"\n", "ftp"),
        ("url = \"https://example.org/tiny.gguf\"", "url = \"https://a\"\nextra = 1", "extra"),
        ("a test", "a \\u001b[31mtest", "control characters"),
        ("schema = 1", "schema = 2", "schema 2"),
    ];
    for (from, to, reason) in cases {
        let text = ENTRY.replace(from, to);
        assert_ne!(text, ENTRY, "{from}");
        let message = refusal(&text);
        assert!(message.contains(reason) && message.contains("test.toml"), "{to}: {message}");
    }
}

#[test]
fn a_package_cannot_become_an_option_of_pip() {
    for (package, version) in [
        ("--index-url=x", "1"),
        ("../evil", "1"),
        ("a b", "1"),
        ("", "1"),
        ("good", "1 --pre"),
        ("good", ""),
    ] {
        let source = format!(
            "kind = \"pypi\"\nparts = [{{ package = \"{package}\", version = \"{version}\", member = \"m\" }}]"
        );
        let text =
            ENTRY.replace("kind = \"https\"\nurl = \"https://example.org/tiny.gguf\"", &source);
        let message = refusal(&text);
        assert!(message.contains("is not a"), "{package} {version}: {message}");
    }
}

#[test]
fn a_home_replaces_by_name_and_adds_the_rest() {
    let own = ENTRY.replace("name = \"tiny\"", "name = \"gemma3-1b\"");
    let merged = Catalogue::shipped()
        .unwrap()
        .with(Catalogue::parse(&own, "home").unwrap(), "home")
        .unwrap()
        .with(Catalogue::parse(&ENTRY.replace("tiny.gguf", "other.gguf"), "home").unwrap(), "home")
        .unwrap();
    assert_eq!(merged.find("gemma3-1b").unwrap().file, "tiny.gguf");
    assert_eq!(merged.entries().len(), 5);
}

#[test]
fn two_models_cannot_share_a_name_or_a_file() {
    let second = ENTRY.replace("schema = 1", "");
    assert!(refusal(&format!("{ENTRY}{second}")).contains("is there twice"));
    let renamed =
        second.replace("name = \"tiny\"", "name = \"tiny2\"").replace("tiny.gguf", "Tiny.gguf");
    assert!(refusal(&format!("{ENTRY}{renamed}")).contains("same file as model \"tiny\""));
}
