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
    assert!(gemma.default && gemma.converted.is_none());
    let minilm = catalogue.find("all-minilm-l6-v2").unwrap();
    let converted = minilm.converted.as_ref().unwrap();
    let originals = converted.originals(&minilm.name);
    assert_eq!(originals.iter().map(|file| file.name).collect::<Vec<_>>(), [WEIGHTS, VOCABULARY]);
    assert!(minilm.default && originals.iter().all(|file| file.sources.len() == 2));
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

const CONVERTED: &str = r#"
[model.converted]
by = "bert-q8_0"
heads = 12
[model.converted.weights]
size = 20
sha256 = "00000000000000000000000000000000000000000000000000000000000000bb"
source = [{ kind = "https", url = "https://example.org/model.safetensors" }]
[model.converted.vocabulary]
size = 5
sha256 = "00000000000000000000000000000000000000000000000000000000000000cc"
source = [{ kind = "https", url = "https://example.org/vocab.txt" }]
"#;

/// The entry, made from others.
fn converted_entry() -> String {
    let (head, _) = ENTRY.split_once("[[model.source]]").unwrap();
    format!("{head}{CONVERTED}")
}

#[test]
fn a_converted_model_names_what_it_is_made_from() {
    let catalogue = Catalogue::parse(&converted_entry(), "test.toml").unwrap();
    let entry = catalogue.find("tiny").unwrap();
    let originals = entry.converted.as_ref().unwrap().originals(&entry.name);
    let sizes: Vec<_> = originals.iter().map(|file| (file.model, file.size)).collect();
    assert_eq!(sizes, [("tiny", 20), ("tiny", 5)]);
}

#[test]
fn a_conversion_that_is_not_whole_is_refused_by_name() {
    let both = format!("{ENTRY}{CONVERTED}");
    assert!(refusal(&both).contains("not both"));
    for (from, to, reason) in [
        ("\"bert-q8_0\"", "\"bert\"", "bert-q8_0"),
        ("heads = 12", "heads = 0", "heads must be 1 to"),
        ("heads = 12", "", "heads"),
        ("heads = 12", "heads = 12\nlayers = 6", "layers"),
        ("size = 20", "size = 0", "model.converted.weights: size must be"),
        ("size = 5\n", "", "size"),
        ("00bb\"", "\"", "SHA-256"),
        (
            "[{ kind = \"https\", url = \"https://example.org/vocab.txt\" }]",
            "[]",
            "[[model.converted.vocabulary.source]]",
        ),
        (
            "https://example.org/vocab.txt",
            "http://example.org/vocab.txt",
            "must start with https://",
        ),
        ("[model.converted.vocabulary]", "[model.converted.words]", "words"),
    ] {
        let text = converted_entry().replace(from, to);
        assert_ne!(text, converted_entry(), "{from}");
        let message = refusal(&text);
        assert!(message.contains(reason), "{to}: {message}");
    }
}
