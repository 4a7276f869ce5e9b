//! Progress bars on standard error. Silent where standard error is no
//! terminal, so that logs stay clean.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over a known number of things.
pub(super) fn items(total: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:32}] {pos}/{len}  {per_sec}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar(total, what, style)
}

/// A bar over bytes.
pub(super) fn bytes(total: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg} [{bar:32}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar(total, what, style)
}

fn bar(total: u64, what: &str, style: ProgressStyle) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar
}
