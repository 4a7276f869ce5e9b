//! Downloads from an address: whole, interrupted, wrong, unwilling.

use super::file_server::{FileServer, rest, status, whole};
use super::*;

fn pulled_from(
    bytes: &[u8],
    answers: Vec<Vec<u8>>,
    folder: &Path,
) -> (Result<PullOutcome, PullError>, Vec<String>) {
    let server = FileServer::answering(answers);
    let entry = entry_for(bytes, vec![Source::Https { url: server.url.clone() }]);
    let outcome = pull(&entry, folder, &mut Counted::default());
    (outcome, server.requests())
}

fn only_error(outcome: Result<PullOutcome, PullError>) -> PullError {
    match outcome.unwrap_err() {
        PullError::NoSourceWorked { mut attempts, .. } if attempts.len() == 1 => {
            attempts.remove(0).error
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_whole_file_arrives_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    let (outcome, requests) = pulled_from(&bytes, vec![whole(&bytes, bytes.len())], folder.path());
    assert!(matches!(outcome.unwrap(), PullOutcome::Fetched { .. }));
    assert_eq!(names(folder.path()), ["tiny.gguf"]);
    assert_eq!(fs::read(folder.path().join("tiny.gguf")).unwrap(), bytes);
    assert!(!requests[0].contains("range:"), "{requests:?}");
}

#[test]
fn a_broken_connection_is_taken_up_within_the_same_pull() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    let cut = 500_000;
    let (outcome, requests) =
        pulled_from(&bytes, vec![whole(&bytes, cut), rest(&bytes, cut)], folder.path());
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(requests[1].contains("range: bytes=500000-"), "{requests:?}");
}

#[test]
fn a_later_pull_goes_on_where_the_first_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    let cut = 500_000;
    // The second connection brings nothing, so the first pull gives up.
    let (outcome, _) =
        pulled_from(&bytes, vec![whole(&bytes, cut), status("503 Busy")], folder.path());
    assert!(matches!(only_error(outcome), PullError::Status { status: 503, .. }));
    assert_eq!(names(folder.path()), ["tiny.gguf.part"]);

    let (outcome, requests) = pulled_from(&bytes, vec![rest(&bytes, cut)], folder.path());
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(requests[0].contains("range: bytes=500000-"), "{requests:?}");
    assert_eq!(names(folder.path()), ["tiny.gguf"]);
}

#[test]
fn a_server_that_ignores_the_range_starts_the_file_anew() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    fs::write(folder.path().join("tiny.gguf.part"), &bytes[..1000]).unwrap();
    let (outcome, _) = pulled_from(&bytes, vec![whole(&bytes, bytes.len())], folder.path());
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn a_remainder_of_another_file_is_given_up_for_a_fresh_start() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    fs::write(folder.path().join("tiny.gguf.part"), vec![7; 1000]).unwrap();
    let answers = vec![rest(&bytes, 1000), whole(&bytes, bytes.len())];
    let (outcome, _) = pulled_from(&bytes, answers, folder.path());
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(names(folder.path()), ["tiny.gguf", "tiny.gguf.bad"]);
}

#[test]
fn wrong_bytes_never_stand_under_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    let mut other = bytes.clone();
    other[12] ^= 1;
    let (outcome, _) = pulled_from(&bytes, vec![whole(&other, other.len())], folder.path());
    let error = only_error(outcome);
    let text = error.to_string();
    assert!(text.contains(&Digest::of(&bytes).to_string()), "{text}");
    assert!(text.contains(&Digest::of(&other).to_string()), "{text}");
    assert_eq!(names(folder.path()), ["tiny.gguf.bad"]);
}

#[test]
fn another_length_is_refused_before_it_is_downloaded() {
    let folder = tempfile::tempdir().unwrap();
    let page = b"<html>please log in</html>";
    let (outcome, _) = pulled_from(&content(), vec![whole(page, page.len())], folder.path());
    let error = only_error(outcome);
    assert!(matches!(error, PullError::WrongSize { .. }), "{error}");
    assert!(error.to_string().contains("26 bytes"), "{error}");
}

#[test]
fn a_source_without_an_end_is_stopped_at_the_catalogues_size() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let endless = [head.as_slice(), &bytes, &bytes].concat();
    let (outcome, _) = pulled_from(&bytes, vec![endless], folder.path());
    assert!(matches!(only_error(outcome), PullError::WrongSize { .. }));
    assert!(
        fs::metadata(folder.path().join("tiny.gguf.part")).unwrap().len() <= bytes.len() as u64
    );
}

#[test]
fn the_next_source_is_asked_when_one_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = FileServer::answering(vec![whole(&bytes, bytes.len())]);
    let away = Source::Https { url: format!("http://{gone}/tiny.gguf") };
    let there = Source::Https { url: server.url.clone() };

    let error =
        pull(&entry_for(&bytes, vec![away.clone()]), folder.path(), &mut NoProgress).unwrap_err();
    assert!(error.hint().unwrap().contains("HTTPS_PROXY"), "{error}");
    assert!(names(folder.path()).is_empty());

    let outcome = pull(&entry_for(&bytes, vec![away, there]), folder.path(), &mut NoProgress);
    assert!(matches!(outcome, Ok(PullOutcome::Fetched { from, .. }) if from == server.url));
}
