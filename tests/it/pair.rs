//! Two real doorkeepers that reply to everything, facing each other over ports
//! of this machine.

use thrall_tests::test_home::thrall_program;

fn pair(arguments: &[&str]) -> serde_json::Value {
    let output = std::process::Command::new(thrall_program())
        .args(["dev", "pair", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_automatic_reply_ends_the_talk() {
    let told = pair(&[]);
    let mails = told["mails"].as_array().unwrap();
    assert_eq!(mails.len(), 2, "{told:#}");
    assert_eq!((&mails[0]["automatic"], &mails[1]["automatic"]), (&false.into(), &true.into()));
    assert_eq!(told["wakes"].as_array().unwrap().len(), 0, "{told:#}");
}

#[test]
fn without_the_mark_the_loop_is_found_and_the_agent_told_once() {
    let told = pair(&["--unmarked"]);
    // Two replies of each, after the greeting.
    assert_eq!(told["mails"].as_array().unwrap().len(), 5, "{told:#}");
    let wakes = told["wakes"].as_array().unwrap();
    assert_eq!(wakes.len(), 1, "{told:#}");
    assert_eq!(wakes[0]["type"], "thrall_breaker");
    assert_eq!(wakes[0]["breaker_type"], "node");
}
