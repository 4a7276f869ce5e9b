//! Bad input gets a clear error and loses nothing.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::guests;
use thrall_tests::test_home::{TestHome, full_grant};

const GOOD: &str = r#"
mode = "automated"
[trigger]
type = "on_mail"
[evaluate]
type = "hotwire"
default_action = "log"
"#;

fn check(home: &TestHome, name: &str, content: impl AsRef<[u8]>) -> (i32, String) {
    let file = home.write(name, content);
    let ran = home.run(&["recipe", "check", file.to_str().unwrap()]);
    (ran.code, ran.stdout + &ran.stderr)
}

#[test]
fn recipe_mistakes_are_named_with_line_and_nearest_word() {
    let home = TestHome::new();
    let cases = [
        ("broken TOML", "mode = \n", "1"),
        (
            "unknown key",
            &GOOD.replace("[evaluate]", "[filter]\ncoldown_key = \"x\"\n[evaluate]"),
            "cooldown_key",
        ),
        ("unknown action", &GOOD.replace("\"log\"", "\"wkae\""), "wake"),
        ("bad mode", &GOOD.replace("automated", "automatic"), "automated"),
        (
            "bad pattern",
            &format!(
                "{GOOD}\n[[evaluate.rules]]\nfield = \"body_text\"\npattern = \"(\"\naction = \"log\"\n"
            ),
            "pattern",
        ),
        ("unknown trigger", &GOOD.replace("on_mail", "on_male"), "on_mail"),
    ];
    for (what, toml, expected) in cases {
        let (code, text) = check(&home, "broken.toml", toml);
        assert_eq!(code, 1, "{what}: {text}");
        assert!(text.contains("broken.toml:"), "{what} names the file and line: {text}");
        assert!(text.contains(expected), "{what} says {expected:?}: {text}");
    }
    assert_eq!(check(&home, "good.toml", GOOD).0, 0);
}

#[test]
fn files_that_are_no_recipe_components_are_refused_by_name() {
    let home = TestHome::new();
    let cases: [(&str, &[u8], &str); 5] = [
        ("core.wasm", guests::bytes("core-module"), "core module"),
        ("world.wasm", guests::bytes("wrong-world"), "filter"),
        ("import.wasm", guests::bytes("unknown-import"), "import"),
        ("noise.wasm", b"not wasm at all", "WebAssembly"),
        ("empty.wasm", b"", "WebAssembly"),
    ];
    for (name, bytes, expected) in cases {
        let (code, text) = check(&home, name, bytes);
        assert_eq!(code, 1, "{name}: {text}");
        assert!(text.contains(expected), "{name} says {expected:?}: {text}");
    }
    let (code, text) = check(&home, "large.wasm", vec![0u8; 33 * 1024 * 1024]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("32 MiB"), "{text}");
}

#[test]
fn a_broken_recipe_stands_beside_the_good_ones() {
    let home = TestHome::new();
    home.recipe("good", GOOD);
    home.write("recipes/broken.toml", "mode = ");
    home.write("grants/broken.toml", full_grant(""));
    home.ingest(&lines([mail("m1", &node(0xd1), "hello")])).ok();
    assert_eq!(home.journal().len(), 1);
    let list = home.run(&["recipe", "list", "--json"]).ok().json();
    let states: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["name"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, [("broken", "rejected"), ("good", "live")]);
}

#[test]
fn refused_envelopes_are_counted_with_their_reason_and_stop_nothing() {
    let home = TestHome::new();
    home.recipe("good", GOOD);
    let sender = node(0xd1);
    let mut file: Vec<u8> = Vec::new();
    let deep = format!(
        "{{\"trigger\":\"on_mail\",\"fields\":{{\"from_node\":\"{sender}\",\"body\":{}1{}}}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let long = "x".repeat(1024 * 1024);
    let bad: [&[u8]; 6] = [
        b"{\"trigger\":\"on_mail\",\"fields\":{\"body_text\":\"\xff\xfe\"}}",
        b"{\"trigger\":\"on_mail\"",
        b"{\"trigger\":\"on_mail\",\"feilds\":{}}",
        deep.as_bytes(),
        b"{\"trigger\":\"on_mail\",\"fields\":{\"a\":\"1\",\"a\":\"2\"}}",
        &serde_json::to_vec(&mail("big", &sender, &long)).unwrap(),
    ];
    for (n, line) in bad.iter().enumerate() {
        file.extend_from_slice(line);
        file.push(b'\n');
        file.extend_from_slice(lines([mail(&format!("ok{n}"), &sender, "fine")]).as_bytes());
    }
    let path = home.write("events.jsonl", file);
    let ran = home.run(&["ingest", path.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, 1, "something was refused: {ran:?}");
    let ran = ran.json();
    assert_eq!((&ran["accepted"], &ran["refused"]), (&6.into(), &6.into()), "{ran}");
    assert_eq!(home.journal().len(), 6);
    let status = home.run(&["status", "--json"]).ok().json();
    assert_eq!(status["refused"]["too_large"], 1, "{status}");
    assert_eq!(status["refused"]["too_deep"], 1, "{status}");
    assert_eq!(status["refused"]["not_utf8"], 1, "{status}");
}

#[test]
fn a_trigger_that_is_none_is_refused_with_its_line_and_the_rest_is_taken() {
    let home = TestHome::new();
    home.recipe("good", GOOD);
    let mut wrong = mail("m1", &node(0xd1), "hello");
    wrong["trigger"] = "on_mial".into();
    let ran = home.ingest(&lines([mail("m0", &node(0xd1), "hello"), wrong]));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("line 2: refused (trigger_not_allowed)"), "{ran:?}");
    assert!(ran.stderr.contains("did you mean \"on_mail\"?"), "{ran:?}");
    assert_eq!(home.journal().len(), 1, "the good line is taken");
    let folder = home.path("recipes");
    let ran = home.run(&["ingest", folder.to_str().unwrap()]);
    assert!(ran.code == 2 && ran.stderr.contains(folder.to_str().unwrap()), "{ran:?}");
}

#[test]
fn a_gguf_that_is_not_one_leaves_the_fallback_and_one_clear_warning() {
    let home = TestHome::new();
    let model = home.write("models/gemma-3-270m-q4_k_m.gguf", b"this is no model");
    home.recipe(
        "triage",
        "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"llm\"\nprompt = \"triage\"\nmodel = \"gemma3-270m\"\nfallback_action = \"compile\"\n[actions.compile]\n[actions.wake]\n",
    );
    let events = lines((0..5).map(|n| mail(&format!("m{n}"), &node(0xd1), &format!("hello {n}"))));
    let ran = home.ingest(&events).ok();
    let rows = home.journal();
    assert_eq!(rows.len(), 5);
    assert!(
        rows.iter().all(|row| row["action"] == "compile" && row["eval_type"] == "fallback"),
        "{rows:?}"
    );
    assert_eq!(ran.stderr.matches("Failed to load model").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(model.file_name().unwrap().to_str().unwrap()), "{}", ran.stderr);
}

#[test]
fn a_home_without_its_folder_of_recipes_says_so_in_the_old_words() {
    let home = TestHome::new();
    std::fs::remove_dir(home.path("recipes")).unwrap();
    let ran = home.run(&["recipe", "list"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("Recipes directory not found: "), "{}", ran.stderr);
}

#[test]
fn an_unknown_word_on_the_command_line_is_usage() {
    let home = TestHome::new();
    assert_eq!(home.run(&["jurnal"]).code, 2);
    assert_eq!(home.run(&["journal", "show", "999"]).code, 1);
    let elsewhere = std::env::temp_dir().join("thrall-no-such-home");
    let ran = home.run(&["--home", elsewhere.to_str().unwrap(), "status"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}
