//! What `thrall bench model` measures, as data.
//!
//! Every figure comes with what it is a ratio of, taken in the same run on the
//! same messages, alternating, so that a busy machine disturbs both alike.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::engine::{Engine, load_model};
use super::{EmbeddedOptions, Stop, llama};
use crate::envelope::sender::Tier;
use crate::model::{ClassifyRequest, ModelError, Prompt, PromptLibrary, PromptValues};

/// Messages of everyday length, written for this.
pub(super) const MESSAGES: [&str; 6] = [
    "Hi, since this morning the nightly export on node seven stops after about two thousand rows \
     with a broken pipe. The disk is not full and the log shows nothing before it. Could you have \
     a look today? The partners expect the file at six and I have no other copy of it. Thanks, Ada",
    "Newsletter, week 31. Three new nodes joined the northern cluster, the map of routes has moved \
     to a new page, and the meeting of operators takes place on the first Thursday of the month as \
     always. There is nothing to do for you; this mail goes to everybody who asked for the summary.",
    "CONGRATULATIONS! Your address was drawn as the lucky winner of our summer prize. To get your \
     voucher worth five hundred, open the link below within 24 hours and enter your account data. \
     This offer is limited and will not be repeated. Click here now, click here, do not wait!",
    "Thanks a lot for the quick help yesterday, the transfer went through at once and the balance \
     is right again. I have noted the steps for the next time, so that we need not ask you. Nothing \
     further from our side, the ticket can be closed. Have a good weekend, and greetings to the team.",
    "Can the translation skill on your node take documents of more than a hundred pages, and what \
     would that cost? We have a manual in Danish that should be in English by the end of the month. \
     If it has to be cut into parts first, tell us how large they may be, then we prepare them.",
    "Automatic notice: backup of volume data-2 finished at 03:14 after 22 minutes, 48 gigabytes \
     written, no errors, two old snapshots removed. The next run is planned for tomorrow at 03:00. \
     You get this notice because you are listed as an operator of this volume.",
];

/// Figures of one model on this machine. Times are medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    pub model: String,
    pub threads: usize,
    pub rounds: usize,
    /// From the file to a context that can decode.
    pub load_ms: f64,
    /// Of one message with nothing else in memory.
    pub prefill_tokens_per_s: f64,
    /// Tokens of the messages' own text.
    pub message_tokens: usize,
    /// Tokens of the prompt's constant prefix.
    pub prefix_tokens: usize,
    /// The bar is a ratio of this to `raw_prefill_ms`.
    pub classify_cached_ms: f64,
    /// With nothing cached: prefix, calibration and message.
    pub classify_uncached_ms: f64,
    /// Going back to a prefix whose snapshot is kept, in place of processing it.
    pub classify_other_tier_ms: f64,
    /// The message's own tokens on an empty memory, with a row of logits at the end.
    pub raw_prefill_ms: f64,
    /// Median of classify cached over raw prefill, message by message.
    pub ratio: f64,
    /// Resident memory of the process, in MiB; 0 where the system does not tell.
    pub resident_mib: f64,
}

/// Measures a model file with the shipped triage prompt. Blocks for seconds.
///
/// # Errors
/// [`ModelError`] if the model cannot be loaded or fails on a message.
pub fn bench(path: &Path, rounds: usize) -> Result<BenchReport, ModelError> {
    let shipped = PromptLibrary::shipped().map_err(|e| ModelError::Invalid(e.to_string()))?;
    let prompt = shipped.get("triage").map_err(|e| ModelError::Invalid(e.to_string()))?;
    let options = EmbeddedOptions::new(path);
    let began = Instant::now();
    let llama = llama()?;
    let model = load_model(llama, path, None)?;
    let mut bench = Bench { engine: Engine::new(llama, &model, &options)?, prompt };
    let load = began.elapsed();
    let mut samples = Samples::default();
    for _ in 0..rounds.max(1) {
        bench.round(&mut samples)?;
    }
    Ok(BenchReport {
        model: path.display().to_string(),
        threads: options.threads,
        rounds: rounds.max(1),
        load_ms: ms(load),
        prefill_tokens_per_s: median(&samples.prefill_rate),
        message_tokens: samples.message_tokens,
        prefix_tokens: samples.prefix_tokens,
        classify_cached_ms: median(&samples.cached),
        classify_uncached_ms: median(&samples.uncached),
        classify_other_tier_ms: median(&samples.other_tier),
        raw_prefill_ms: median(&samples.raw),
        ratio: median(&samples.ratio),
        resident_mib: resident_mib(),
    })
}

struct Bench<'m> {
    engine: Engine<'m>,
    prompt: Arc<Prompt>,
}

#[derive(Default)]
struct Samples {
    cached: Vec<f64>,
    uncached: Vec<f64>,
    other_tier: Vec<f64>,
    raw: Vec<f64>,
    ratio: Vec<f64>,
    prefill_rate: Vec<f64>,
    message_tokens: usize,
    prefix_tokens: usize,
}

impl Bench<'_> {
    fn round(&mut self, samples: &mut Samples) -> Result<(), ModelError> {
        samples.message_tokens = 0;
        for message in MESSAGES {
            self.engine.forget_prefixes();
            samples.uncached.push(self.classify(Tier::Unknown, message)?);
            self.classify(Tier::Known, message)?;
            samples.other_tier.push(self.classify(Tier::Unknown, message)?);
            let cached = self.classify(Tier::Unknown, message)?;
            let labels = self.prompt.labels();
            let labels = labels.as_deref();
            let rendered =
                self.prompt.render(Tier::Unknown, &PromptValues::default(), message, labels);
            let tokens = self.engine.tokens(&rendered);
            let own = tokens.message;
            samples.prefix_tokens = tokens.prefix.len();
            let raw = ms(self.engine.raw_prefill(&own)?);
            samples.message_tokens += own.len() / MESSAGES.len();
            samples.prefill_rate.push(own.len() as f64 * 1000.0 / raw);
            samples.ratio.push(cached / raw);
            samples.cached.push(cached);
            samples.raw.push(raw);
        }
        Ok(())
    }

    fn classify(&mut self, tier: Tier, text: &str) -> Result<f64, ModelError> {
        let labels = self.prompt.labels().ok_or_else(|| {
            ModelError::Invalid("the shipped triage prompt declares no kinds".to_owned())
        })?;
        let request = ClassifyRequest {
            prompt: Arc::clone(&self.prompt),
            tier,
            values: PromptValues::default(),
            text: text.to_owned(),
            labels,
            threshold: 0.0,
            within: Duration::MAX,
        };
        let began = Instant::now();
        self.engine.classify(&request, &Stop::never())?;
        Ok(ms(began.elapsed()))
    }
}

pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

pub(super) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// From Linux's own accounting, in kB lines.
pub(super) fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
