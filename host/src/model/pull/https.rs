//! One file from one address: taken up where it stopped (Range), through the
//! proxy that the environment names, with the certificates that this machine
//! trusts.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::{CHUNK, PartFile, Progress, PullError};
use crate::model::catalogue::{PinnedFile, is_loopback_http};

/// A connection may break off this often before the pull gives up; each new try
/// starts where the last one stopped.
const MAX_CONNECTIONS: u32 = 5;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// No byte for so long means that nobody is there any more.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn fetch(
    wanted: PinnedFile<'_>,
    url: &str,
    dest_dir: &Path,
    progress: &mut dyn Progress,
) -> Result<PathBuf, PullError> {
    let part = PartFile::open(wanted, dest_dir)?;
    let resumed = part.written() > 0;
    match download(wanted, url, part, progress) {
        // What an earlier pull left may itself be wrong (another source's bytes,
        // a bad disk): once more from the start.
        Err(PullError::Mismatch { .. }) if resumed => {
            download(wanted, url, PartFile::open(wanted, dest_dir)?, progress)
        }
        other => other,
    }
}

fn download(
    wanted: PinnedFile<'_>,
    url: &str,
    mut part: PartFile<'_>,
    progress: &mut dyn Progress,
) -> Result<PathBuf, PullError> {
    let agent = agent(url);
    progress.start(wanted.size, &format!("{}: {url}", wanted.model));
    progress.advance(part.written());
    let outcome = connections(wanted, url, &agent, &mut part, progress);
    progress.finish();
    outcome?;
    part.finish()
}

/// Asks again while each connection brings something.
fn connections(
    wanted: PinnedFile<'_>,
    url: &str,
    agent: &Agent,
    part: &mut PartFile<'_>,
    progress: &mut dyn Progress,
) -> Result<(), PullError> {
    for connection in 1.. {
        if part.is_complete() {
            break;
        }
        let before = part.written();
        match one_connection(wanted, url, agent, part, progress) {
            Err(PullError::BrokeOff { .. })
                if part.written() > before && connection < MAX_CONNECTIONS => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn one_connection(
    wanted: PinnedFile<'_>,
    url: &str,
    agent: &Agent,
    part: &mut PartFile<'_>,
    progress: &mut dyn Progress,
) -> Result<(), PullError> {
    let from = part.written();
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    let response = request.call().map_err(|error| unreachable_source(url, &error))?;
    let status = response.status();
    if status == StatusCode::RANGE_NOT_SATISFIABLE && from > 0 {
        // The address has fewer bytes than we hold: ours are of another file.
        return part.restart();
    }
    if !status.is_success() {
        return Err(PullError::Status { url: url.to_owned(), status: status.as_u16() });
    }
    if !continues_at(&response, from) {
        part.restart()?;
    }
    refuse_other_length(wanted, url, &response, part.written())?;
    receive(wanted, url, response.into_body(), part, progress)
}

/// Whether the body starts at byte `from`. A server may ignore a Range, and then
/// sends everything with status 200.
fn continues_at(response: &Response<Body>, from: u64) -> bool {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return from == 0;
    }
    response
        .headers()
        .get(header::CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("bytes "))
        .and_then(|value| value.split('-').next())
        .and_then(|first| first.parse::<u64>().ok())
        == Some(from)
}

/// A login page or another version is noticed before it is downloaded.
fn refuse_other_length(
    wanted: PinnedFile<'_>,
    url: &str,
    response: &Response<Body>,
    written: u64,
) -> Result<(), PullError> {
    match response.body().content_length() {
        Some(length) if length != wanted.size - written => Err(PullError::WrongSize {
            model: wanted.model.to_owned(),
            origin: url.to_owned(),
            expected: wanted.size,
            actual: length.saturating_add(written).to_string(),
        }),
        _ => Ok(()),
    }
}

fn receive(
    wanted: PinnedFile<'_>,
    url: &str,
    body: Body,
    part: &mut PartFile<'_>,
    progress: &mut dyn Progress,
) -> Result<(), PullError> {
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; CHUNK];
    let broke_off = |part: &PartFile<'_>, detail: String| PullError::BrokeOff {
        url: url.to_owned(),
        got: part.written(),
        expected: wanted.size,
        detail,
    };
    loop {
        match reader.read(&mut buffer) {
            Ok(0) if part.is_complete() => return Ok(()),
            Ok(0) => return Err(broke_off(part, "the connection was closed".to_owned())),
            Ok(count) => {
                part.append(buffer.get(..count).unwrap_or_default())?;
                progress.advance(count as u64);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broke_off(part, error.to_string())),
        }
    }
}

fn agent(url: &str) -> Agent {
    let loopback = is_loopback_http(url);
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        // Also after a redirect.
        .https_only(!loopback)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(SILENCE_TIMEOUT))
        .timeout_per_read(Some(SILENCE_TIMEOUT));
    if loopback {
        // A proxy would look for the file on its own machine.
        config = config.proxy(None);
    }
    config.build().into()
}

fn unreachable_source(url: &str, error: &ureq::Error) -> PullError {
    PullError::Unreachable { url: url.to_owned(), detail: error.to_string() }
}
