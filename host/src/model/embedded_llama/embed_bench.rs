//! What `thrall bench model` measures of an embedding model, as data.
//!
//! One text at a time and several side by side, alternating on the same texts, so
//! that a busy machine disturbs both alike.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::bench::{MESSAGES, median, ms, resident_mib};
use super::embedding_engine::{EmbeddingEngine, Text};
use super::engine::load_model;
use super::llama;
use crate::model::{EmbedRequest, EmbedderOptions, ModelError};

/// Short ones, written for this: most of what arrives at a node is no letter.
const SHORT: [&str; 6] = [
    "Thanks, got it.",
    "Hello, is your node online?",
    "Can you run digest-voice on this topic?",
    "ok",
    "Backup of data-2 finished at 03:14, no errors.",
    "Why was I charged twice for the same ticket? Please check my account.",
];

/// The longest text is embedded so often in each round, for the slowest of them.
const LONGEST_A_ROUND: usize = 10;

/// Figures of one model on this machine. Times are medians unless named otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbedReport {
    pub model: String,
    pub threads: usize,
    pub rounds: usize,
    /// From the file to a context that can embed.
    pub load_ms: f64,
    /// Tokens of the texts, on average.
    pub text_tokens: usize,
    /// Of one text, six short ones and six of everyday length.
    pub embed_ms: f64,
    /// Of one text with as many tokens as count.
    pub longest_text_ms: f64,
    /// Of all rounds, but for the slowest hundredth.
    pub longest_text_p99_ms: f64,
    pub tokens_per_s: f64,
    /// The short ones, one after the other and side by side.
    pub short_texts_per_s: f64,
    pub short_texts_together_per_s: f64,
    /// Throughput side by side over one at a time, round by round.
    pub ratio_together: f64,
    /// Resident memory of the process, in MiB; 0 where the system does not tell.
    pub resident_mib: f64,
    /// What else the machine was doing: its load over a minute, if it tells.
    pub load_average: f64,
}

#[derive(Default)]
struct Samples {
    one: Vec<f64>,
    longest: Vec<f64>,
    rate: Vec<f64>,
    alone: Vec<f64>,
    together: Vec<f64>,
    ratio: Vec<f64>,
}

/// Measures a model file. Blocks for seconds.
///
/// # Errors
/// [`ModelError`] if the model cannot be loaded or fails on a text.
pub fn bench(path: &Path, rounds: usize) -> Result<EmbedReport, ModelError> {
    let EmbedderOptions { threads, .. } = EmbedderOptions::new(path);
    let began = Instant::now();
    let llama = llama()?;
    let model = load_model(llama, path, None)?;
    let mut engine = EmbeddingEngine::new(llama, &model, threads)?;
    let load_ms = ms(began.elapsed());
    let texts = |texts: &[&str], engine: &EmbeddingEngine<'_>| -> Vec<Text> {
        let clean = |text: &&str| EmbedRequest::of_message(text, Duration::ZERO);
        texts.iter().map(|text| engine.text(clean(text).text())).collect()
    };
    let short = texts(&SHORT, &engine);
    let usual = texts(&MESSAGES, &engine);
    let longest = texts(&[&MESSAGES.concat()], &engine);
    let mut samples = Samples::default();
    for _ in 0..rounds.max(1) {
        for text in short.iter().chain(&usual) {
            let took = timed(&mut engine, std::slice::from_ref(text))?;
            samples.one.push(took);
            samples.rate.push(text.len() as f64 * 1000.0 / took);
        }
        for _ in 0..LONGEST_A_ROUND {
            samples.longest.push(timed(&mut engine, &longest)?);
        }
        let mut alone = 0.0;
        for text in &short {
            alone += timed(&mut engine, std::slice::from_ref(text))?;
        }
        let together = timed(&mut engine, &short)?;
        samples.alone.push(short.len() as f64 * 1000.0 / alone);
        samples.together.push(short.len() as f64 * 1000.0 / together);
        samples.ratio.push(alone / together);
    }
    let tokens: usize = short.iter().chain(&usual).map(Text::len).sum();
    Ok(EmbedReport {
        model: path.display().to_string(),
        threads,
        rounds: rounds.max(1),
        load_ms,
        text_tokens: tokens / (short.len() + usual.len()),
        embed_ms: median(&samples.one),
        longest_text_ms: median(&samples.longest),
        longest_text_p99_ms: percentile_99(&samples.longest),
        tokens_per_s: median(&samples.rate),
        short_texts_per_s: median(&samples.alone),
        short_texts_together_per_s: median(&samples.together),
        ratio_together: median(&samples.ratio),
        resident_mib: resident_mib(),
        load_average: load_average(),
    })
}

fn percentile_99(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let over = sorted.len() / 100;
    sorted.iter().rev().nth(over).copied().unwrap_or(0.0)
}

/// From Linux's own accounting.
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

fn timed(engine: &mut EmbeddingEngine<'_>, texts: &[Text]) -> Result<f64, ModelError> {
    let began = Instant::now();
    engine.embed(texts)?;
    Ok(ms(began.elapsed()))
}
