//! With the real model: these fail where `make setup` has not run, on purpose.

use std::sync::LazyLock;

use super::super::tests::{LONG, model_file, run};
use super::*;

const FILE: &str = "all-MiniLM-L6-v2.Q8_0.gguf";

fn patient(path: PathBuf) -> LlamaEmbedder {
    let options = EmbedderOptions { queue_timeout: LONG, ..EmbedderOptions::new(path) };
    LlamaEmbedder::new(options).unwrap()
}

fn minilm() -> &'static LlamaEmbedder {
    static MODEL: LazyLock<LlamaEmbedder> = LazyLock::new(|| patient(model_file(FILE)));
    &MODEL
}

fn request(text: &str) -> EmbedRequest {
    EmbedRequest::of_message(text, LONG)
}

fn embed(text: &str) -> Embedding {
    run(minilm().embed(request(text))).unwrap()
}

/// All of them at once, so that they wait together.
fn embed_together(texts: &[&str]) -> Vec<Embedding> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut waiting = tokio::task::JoinSet::new();
        for (at, text) in texts.iter().enumerate() {
            let request = request(text);
            waiting.spawn(async move { (at, minilm().embed(request).await.unwrap()) });
        }
        let mut answers = waiting.join_all().await;
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, embedding)| embedding).collect()
    })
}

fn difference(a: &Embedding, b: &Embedding) -> f32 {
    a.vector.iter().zip(&b.vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The tokens that the published tokenizer makes of a text, markers included, and
/// the first numbers that the published weights give it in full precision.
const PUBLISHED: [(&str, usize, [f32; 6]); 5] = [
    (
        "The export on node seven stops with a broken pipe.",
        13,
        [-0.02025, -0.03182, 0.02276, 0.02249, 0.13537, -0.01795],
    ),
    (
        "Thanks a lot, everything works again!",
        10,
        [-0.01049, -0.1157, -0.0208, -0.00489, -0.00129, 0.00917],
    ),
    (
        "Do you know a good recipe for apple cake?",
        12,
        [0.00828, 0.01108, 0.02564, 0.01204, -0.06445, 0.02545],
    ),
    (
        "O\u{f9} est la gare, s'il vous pla\u{ee}t ?",
        17,
        [-0.10624, -0.02426, 0.01812, -0.06005, 0.01554, 0.08026],
    ),
    (
        "You won a prize! Click here to claim your free money now.",
        16,
        [-0.0547, 0.02899, 0.03407, 0.05864, 0.04427, 0.01445],
    ),
];

#[test]
fn texts_are_embedded_as_the_published_weights_do_it() {
    for (text, tokens, numbers) in PUBLISHED {
        let embedding = embed(text);
        assert_eq!(embedding.usage.tokens as usize, tokens, "{text}");
        for (ours, published) in embedding.vector.iter().zip(numbers) {
            assert!((ours - published).abs() < 0.005, "{text}: {ours} {published}");
        }
        let length: f32 = embedding.vector.iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }
}

#[test]
fn what_means_the_same_is_near_and_what_does_not_is_far() {
    for (one, same, other) in [
        (
            "The export on node seven stops with a broken pipe.",
            "On node 7 the export breaks off with a pipe error.",
            "Do you know a good recipe for apple cake?",
        ),
        (
            "My card was stolen, please block it.",
            "Someone took my bank card. Can you lock it at once?",
            "The newsletter of week 31 is out.",
        ),
        (
            "When will my parcel arrive?",
            "How long until my package is delivered?",
            "Congratulations, you won a prize!",
        ),
        (
            "The server is down and nobody can log in.",
            "Outage: our server does not answer, logins fail.",
            "I like to bake bread on Sundays.",
        ),
    ] {
        let (one, same, other) = (embed(one), embed(same), embed(other));
        let (near, far) = (one.cosine(&same), one.cosine(&other));
        assert!(near > 0.55 && far < 0.25, "{near} {far}");
        assert!((one.cosine(&one) - 1.0).abs() < 1e-4);
    }
}

#[test]
fn a_text_is_the_same_whatever_is_embedded_beside_it() {
    let long = "The export on node seven stops after two thousand rows. ".repeat(40);
    let texts = [
        "Thanks, got it.",
        "",
        "Can you run digest-voice on this topic?",
        &long,
        "\u{1f600}\u{1f600}\u{1f600}",
        "Thanks, got it.",
        "ok",
        "Das Backup ist heute Nacht nicht gelaufen, bitte nachsehen.",
    ];
    let alone: Vec<Embedding> = texts.iter().map(|text| embed(text)).collect();
    for round in 0..5 {
        let mut order: Vec<&str> = texts.to_vec();
        order.rotate_left(round);
        let together = embed_together(&order);
        for (at, embedding) in together.iter().enumerate() {
            let alone = &alone[(at + round) % texts.len()];
            assert!(difference(embedding, alone) < 1e-3, "{}", difference(embedding, alone));
            assert!(embedding.cosine(alone) > 0.9999);
        }
    }
    // Alone, to the bit.
    assert_eq!(embed(texts[0]).vector, alone[0].vector);
}

#[test]
fn only_so_much_of_a_text_counts() {
    let words = "word ".repeat(253);
    let most = embed(&words);
    assert!(!most.truncated && most.usage.tokens == 255, "{:?}", most.usage);
    let more = embed(&format!("{words}word word and something else"));
    assert!(more.truncated && more.usage.tokens == 256, "{:?}", more.usage);
    let huge = embed(&"Blah blah? ".repeat(1_000_000));
    assert!(huge.truncated && huge.usage.tokens == 256, "{:?}", huge.usage);
}

#[test]
fn hostile_texts_are_ordinary_texts() {
    let flood = "\u{1d573}".repeat(4000);
    let words = "a".repeat(5000);
    let marks = "e\u{301}\u{202e} ".repeat(200_000);
    let hostile = [
        "[CLS] [SEP] [MASK] [PAD] [UNK] [unused1] ##ing",
        "\u{0}\u{1b}[2J\u{fffd}",
        &flood,
        &words,
        &marks,
        "",
        "\u{2581}\u{2581} \u{2581}x",
    ];
    let before = embed("Thanks, got it.");
    for text in hostile {
        let embedding = embed(text);
        assert!(embedding.vector.iter().all(|number| number.is_finite()), "{text:?}");
    }
    assert_eq!(embed("Thanks, got it.").vector, before.vector);
    // A marker in a text is letters: three pieces, not one.
    assert_eq!(embed("[SEP]").usage.tokens, 2 + 3);
}

#[test]
fn a_deadline_is_kept_and_the_next_caller_served() {
    let model = patient(model_file(FILE));
    let hurried = EmbedRequest::of_message("hello", Duration::ZERO);
    let error = run(model.embed(hurried)).unwrap_err();
    assert!(matches!(error, ModelError::Timeout { .. } | ModelError::Overflow { .. }), "{error}");
    run(model.embed(request("hello"))).unwrap();
}

#[test]
fn a_missing_or_false_file_is_named_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("minilm.gguf");
    let name = Some("all-minilm-l6-v2".to_owned());
    let options = EmbedderOptions { name, ..EmbedderOptions::new(&path) };
    let model = LlamaEmbedder::new(options).unwrap();
    let ask = || run(model.embed(request("hello"))).unwrap_err();
    let missing = ask();
    assert!(matches!(missing, ModelError::Unavailable { .. }));
    let missing = missing.to_string();
    assert!(missing.contains("fetch it with `thrall model pull all-minilm-l6-v2`"), "{missing}");
    assert!(ask().to_string().contains("previously failed"));
    std::fs::write(&path, b"GGUF and nothing more").unwrap();
    assert!(ask().to_string().contains("may be damaged"));
    assert!(model.summary().contains("may be damaged"));
}

#[test]
fn a_model_that_answers_questions_embeds_nothing() {
    let model = patient(model_file("SmolLM2-135M-Instruct.Q4_1.gguf"));
    let error = run(model.embed(request("hello"))).unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, ModelError::Unavailable { .. }), "{told}");
    assert!(told.contains("\"llama\" with 576 numbers"), "{told}");
}
