//! What people's scripts read: the old views and their queries, the log lines.

use thrall_tests::events::{lines, mail, node};
use thrall_tests::test_home::TestHome;

const RULES: &str = r#"
mode = "automated"
[trigger]
type = "on_mail"
[filter]
trust_bypass = true
[evaluate]
type = "hotwire"
default_action = "drop"
[actions.wake]
"#;

fn filled() -> TestHome {
    let home = TestHome::new();
    home.recipe("mail-triage", RULES);
    home.configure(&format!("[trust_tiers]\nteam = [\"{}\"]\n", node(0xde)));
    home.ingest(&lines([
        mail("m1", &node(0xd1), "buy crypto"),
        mail("m2", &node(0xde), "lunch?"),
        mail("m3", "not-a-node\u{1b}[2J", "hello"),
    ]))
    .ok();
    home
}

#[test]
fn the_printed_queries_run() {
    let home = filled();
    let database = home.database();
    let queries = [
        "SELECT from_node, tier, action, reasoning, wall_ms FROM thrall_classifications ORDER BY created_at DESC LIMIT 20",
        "SELECT substr(from_node,1,16), tier, action, reasoning, wall_ms, session_id FROM thrall_classifications ORDER BY created_at DESC LIMIT 10",
        "SELECT count(*), action FROM thrall_classifications GROUP BY action",
        "SELECT count(*) FROM thrall_classifications WHERE action='drop' AND created_at > 0",
        "SELECT pipeline, eval_type, action_name, wall_ms FROM thrall_journal ORDER BY timestamp DESC LIMIT 10",
        "SELECT name, content, hash, pushed_by, pushed_at, active FROM thrall_prompts",
        "SELECT session_id, key, value, created_at, expires_at FROM thrall_context",
    ];
    for query in queries {
        let mut statement =
            database.prepare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        statement.query([]).unwrap().next().unwrap_or_else(|error| panic!("{query}: {error}"));
    }
    let wake: (String, String, String) = database
        .query_row("SELECT pipeline, eval_type, action_name FROM thrall_journal WHERE eval_type = 'bypass'", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!(wake, ("mail-triage".to_owned(), "bypass".to_owned(), "summon".to_owned()));
    let at: f64 = database
        .query_row("SELECT max(timestamp) FROM thrall_journal", [], |row| row.get(0))
        .unwrap();
    assert!((1.7e9..4e9).contains(&at), "seconds: {at}");
}

#[test]
fn the_log_has_the_old_lines_and_no_escapes() {
    let home = filled();
    let log = std::fs::read_to_string(home.path("state/thrall.log")).unwrap();
    assert!(log.contains(" [TRIAGE] d1d1d1d1d1d1d1d1 action=drop tier=unknown wall="), "{log}");
    assert!(
        log.contains("PIPELINE mail-triage: filter=bypass eval=bypass->wake action=summon wall="),
        "{log}"
    );
    assert!(log.contains(" [SKIP_INVALID] invalid "), "{log}");
    assert!(!log.contains('\u{1b}'));
    for line in log.lines() {
        assert!(
            line.as_bytes()[..19].iter().all(|b| b.is_ascii_digit() || b"-: ".contains(b)),
            "{line}"
        );
    }
}
