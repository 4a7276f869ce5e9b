//! The measurements run and give their figures. How good those are depends on the
//! machine and is nobody's test.

use thrall_tests::test_home::TestHome;

#[test]
fn the_engine_is_measured_with_an_empty_and_a_filled_journal() {
    let home = TestHome::new();
    let args = "bench engine --events 200 --rounds 1 --journal-rows 500 --json";
    let words: Vec<&str> = args.split(' ').collect();
    let report = home.run(&words).ok().json();
    for figure in ["events_per_s_full_journal", "accept_to_journaled_p99_ms", "breaker_check_us"] {
        assert!(report[figure].as_f64().is_some_and(|value| value > 0.0), "{figure}: {report}");
    }
}
