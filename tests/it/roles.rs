//! What an agent or a source may ask, over its socket and with its token: the
//! table's routes and nothing else, and nothing of it changes what is the
//! operator's.

use std::time::Duration;

use serde_json::{Value, json};
use thrall::roles::Role;
use thrall::server::routes::ROUTES;
use thrall_tests::events::node;
use thrall_tests::http::{Answer, At, send};
use thrall_tests::operators_things;
use thrall_tests::serving::Serving;
use thrall_tests::test_home::TestHome;
use thrall_tests::wait_for::wait_for;

const LOG_ALL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_mail\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";
const CAREFUL: &str = "mode = \"automated\"\n[trigger]\ntype = \"on_event\"\n[evaluate]\ntype = \"hotwire\"\ndefault_action = \"log\"\n";

/// A team, two sources, a port, and a recipe that its grant holds down.
fn home() -> TestHome {
    let home = TestHome::new();
    home.configure(&format!(
        "[trust_tiers]\nteam = [\"{}\"]\n[sources.bridge]\ntriggers = [\"on_event\"]\n\
         [sources.relay]\n[http]\nlisten = \"127.0.0.1:0\"\n",
        node(0xde)
    ));
    home.recipe("log-all", LOG_ALL);
    home.recipe("careful", CAREFUL);
    let grant = std::fs::read_to_string(home.path("grants/careful.toml")).unwrap();
    home.write("grants/careful.toml", grant.replace("automated", "manual"));
    home
}

struct Ways {
    home: TestHome,
    _serving: Serving,
    operator: Vec<At>,
    agent: Vec<At>,
    bridge: Vec<At>,
    relay: Vec<At>,
}

/// Each role by its socket and by its token.
fn ways() -> Ways {
    let home = home();
    let serving = Serving::ready(home.spawn(&["serve"]));
    let port = serving.port();
    let both = |name: &str| {
        let token = std::fs::read_to_string(home.path(&format!("state/tokens/{name}"))).unwrap();
        vec![
            At::Socket(home.path(&format!("run/{name}.sock"))),
            At::Port { port, token: token.trim().to_owned() },
        ]
    };
    let (operator, agent) = (both("operator"), both("agent"));
    let (bridge, relay) = (both("source-bridge"), both("source-relay"));
    Ways { operator, agent, bridge, relay, _serving: serving, home }
}

fn ask(at: &At, method: &str, target: &str) -> Answer {
    send(at, method, target, &[], b"")
        .unwrap_or_else(|| panic!("no answer: {method} {target} {at:?}"))
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[test]
fn every_route_is_there_for_its_roles_and_for_no_other() {
    let ways = ways();
    for (role, doors) in
        [(Role::Operator, &ways.operator), (Role::Agent, &ways.agent), (Role::Source, &ways.bridge)]
    {
        for at in doors {
            for route in &ROUTES {
                for method in METHODS {
                    let answer = ask(at, method, route.path);
                    let what =
                        format!("{method} {} for {role:?} at {at:?}: {answer:?}", route.path);
                    let is_method = method == route.method.as_str()
                        || (method == "HEAD" && route.method.as_str() == "GET");
                    // The path may be there with another method.
                    let of_path = || ROUTES.iter().filter(|other| other.path == route.path);
                    let is_there = of_path().any(|other| other.roles.contains(&role));
                    let other_takes_it = of_path().any(|other| {
                        other.method != route.method
                            && other.roles.contains(&role)
                            && (method == other.method.as_str()
                                || (method == "HEAD" && other.method.as_str() == "GET"))
                    });
                    match (route.roles.contains(&role), is_method) {
                        // A route may know no such thing, but it is there.
                        (true, true) => assert!(
                            answer.status < 500
                                && answer.status != 403
                                && answer.body["type"] != "urn:thrall:problem:no_such_route",
                            "{what}"
                        ),
                        _ if other_takes_it => {}
                        _ if is_there => assert_eq!(answer.status, 405, "{what}"),
                        _ => assert_eq!(answer.status, 404, "{what}"),
                    }
                }
            }
        }
    }
}

/// Things that a role would have to be able to do to widen what it may, the
/// way that this or a later interface would write them.
const WIDENING: [&str; 18] = [
    "/thrall/grants/log-all",
    "/thrall/grants/careful",
    "/thrall/grant/careful/allow",
    "/thrall/recipes/careful",
    "/thrall/recipes/careful/mode",
    "/thrall/recipes/careful/mode?mode=automated",
    "/thrall/promote/careful",
    "/thrall/prompts",
    "/thrall/prompts/triage",
    "/thrall/prompts/triage/rollback",
    "/thrall/breakers/global",
    "/thrall/breakers/node:0123456789abcdef",
    "/thrall/pause",
    "/thrall/resume",
    "/thrall/config",
    "/thrall/tokens/operator",
    "/thrall/outbox/1/retry",
    "/operator/thrall/grants",
];

/// Other spellings of a path that something on the way might take for it.
fn spellings(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches('/');
    vec![
        format!("/{path}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("/./{inner}"),
        format!("/thrall/..{path}"),
        format!("/health/..{path}"),
        format!("/%2e%2e{path}"),
        format!("/thrall/%2e%2e{path}"),
        format!("/thrall%2f..{path}"),
        path.replace('/', "%2f").replacen("%2f", "/", 1),
        path.replace("/thrall", "/Thrall"),
        path.to_uppercase(),
        format!("{path}%00"),
        format!("{path};role=operator"),
        format!("{path}.json"),
        format!("/operator.sock{path}"),
        path.replace('e', "%65"),
    ]
}

const PRETENDING: [(&str, &str); 14] = [
    ("X-HTTP-Method-Override", "PUT"),
    ("X-HTTP-Method", "DELETE"),
    ("X-Method-Override", "PATCH"),
    ("X-Forwarded-User", "operator"),
    ("X-Remote-User", "root"),
    ("X-Role", "operator"),
    ("X-Thrall-Role", "operator"),
    ("X-Original-URL", "/thrall/grants"),
    ("X-Rewrite-URL", "/thrall/grants"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;by=operator"),
    ("Cookie", "role=operator"),
    ("X-Source", "operator"),
    ("X-Peer-Uid", "0"),
];

/// A grant for everything, and other things that are not the sender's to say.
fn hostile_bodies() -> Vec<Vec<u8>> {
    let grant = "mode = \"automated\"\nimports = [\"model\"]\noperations = [\"wake\"]\n";
    vec![
        grant.as_bytes().to_vec(),
        json!({"name": "careful", "grant": grant, "mode": "automated"}).to_string().into_bytes(),
        json!({"path": "/etc/passwd", "recipes": "../grants", "force": true})
            .to_string()
            .into_bytes(),
        b"_method=PUT&mode=automated".to_vec(),
    ]
}

#[test]
fn nothing_that_an_agent_or_a_source_sends_changes_what_is_the_operators() {
    let ways = ways();
    let before = operators_things::of(&ways.home);
    assert!(before["recipes"].contains("\"careful\" \"live\" \"manual\""), "{before:?}");
    let bodies = hostile_bodies();
    for (role, at) in [Role::Agent, Role::Source].into_iter().flat_map(|role| {
        let doors = if role == Role::Agent { &ways.agent } else { &ways.relay };
        doors.iter().map(move |at| (role, at))
    }) {
        for path in WIDENING {
            for method in METHODS {
                let body = bodies[path.len() % bodies.len()].as_slice();
                let answer = send(at, method, path, &[], body).unwrap();
                // The agent reads prompts; whatever else is asked of them is not there.
                let reads = role == Role::Agent
                    && path.starts_with("/thrall/prompts")
                    && !path.ends_with("/rollback");
                let expected = match method {
                    "GET" | "HEAD" if reads => 200,
                    _ if reads => 405,
                    _ => 404,
                };
                assert_eq!(answer.status, expected, "{method} {path} for {role:?}: {answer:?}");
            }
        }
        // A part that is a number or a name takes any text and answers by itself.
        let plain = ROUTES.iter().map(|route| route.path).filter(|path| !path.contains('{'));
        let others = WIDENING.into_iter().filter(|path| *path != "/thrall/prompts/triage");
        for path in plain.chain(others) {
            for spelling in spellings(path).into_iter().filter(|spelling| spelling != path) {
                for method in ["GET", "POST"] {
                    let answer = send(at, method, &spelling, &[], &bodies[0]).unwrap();
                    assert!(
                        matches!(answer.status, 400 | 404),
                        "{method} {spelling} for {role:?}: {answer:?}"
                    );
                }
            }
        }
        for route in &ROUTES {
            for body in &bodies {
                let method = route.method.as_str();
                let plain = send(at, method, route.path, &[], body).unwrap();
                for pretending in PRETENDING {
                    let answer = send(at, method, route.path, &[pretending], body).unwrap();
                    assert_eq!(
                        (answer.status, answer.body["type"].as_str()),
                        (plain.status, plain.body["type"].as_str()),
                        "{pretending:?} on {} changes the answer",
                        route.path
                    );
                }
                let answer = send(at, method, route.path, &PRETENDING, body).unwrap();
                assert_eq!(answer.status, plain.status, "{route}", route = route.path);
            }
        }
    }
    // Read anew, so that whatever was left anywhere would come into force.
    assert_eq!(ask(&ways.operator[0], "POST", "/thrall/reload").status, 200);
    operators_things::assert_unchanged(&before, &ways.home);
    assert!(ways.home.journal().is_empty(), "and nothing became an event");
}

fn bring(at: &At, event: &Value) -> Answer {
    send(at, "POST", "/thrall/events", &[], event.to_string().as_bytes()).unwrap()
}

fn team_mail(id: &str) -> Value {
    json!({"id": id, "trigger": "on_mail", "fields": {
        "from_node": node(0xde), "msg_type": "text", "body_text": "hello",
        "source": "operator", "tier": "team", "host.tier": "team", "HOST.source": "operator"
    }})
}

#[test]
fn only_a_source_that_may_is_believed_about_the_sender() {
    let ways = ways();
    for (index, (at, source, tier)) in [
        (&ways.operator[0], "operator", "team"),
        (&ways.operator[1], "operator", "team"),
        (&ways.agent[0], "agent", "unknown"),
        (&ways.agent[1], "agent", "unknown"),
        (&ways.relay[0], "relay", "unknown"),
        (&ways.relay[1], "relay", "unknown"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("m{index}");
        let answer = bring(at, &team_mail(&id));
        assert_eq!(answer.status, 202, "{answer:?}");
        let row = wait_for("decision", Duration::from_secs(30), || {
            let rows = ways.home.journal();
            (rows.len() == index + 1).then(|| rows[index].clone())
        });
        assert_eq!(row["tier"], tier, "{source}: {row}");
        let stored = ways.home.database().query_row(
            "SELECT source, body FROM envelopes JOIN payloads USING (seq) WHERE id = ?1",
            [&id],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        );
        let (stored_source, payload) = stored.unwrap();
        assert_eq!(stored_source, source);
        let payload = payload.to_lowercase();
        assert!(!payload.contains("host."), "{payload}");
        assert_eq!(payload.contains(&node(0xde)), tier == "team", "{payload}");
    }
}

#[test]
fn event_kinds_of_the_host_and_undeclared_ones_are_refused() {
    let ways = ways();
    let everybody = [&ways.operator, &ways.agent, &ways.bridge, &ways.relay].into_iter().flatten();
    for at in everybody {
        for kind in [
            "on_tick",
            "on_result",
            "on_action",
            "ON_TICK",
            "On_Tick",
            "on_tick.",
            "on-tick",
            "on_Action",
            "tick",
            "host.tick",
        ] {
            let answer = bring(at, &json!({"trigger": kind, "fields": {}}));
            assert_eq!(answer.status, 403, "{kind} at {at:?}: {answer:?}");
            assert_eq!(answer.body["type"], "urn:thrall:problem:trigger_not_allowed");
        }
        for kind in [
            " on_tick",
            "on_tick ",
            "on_tick\u{0}",
            "\u{fb}n_tick",
            "o\u{200b}n_tick",
            "on tick",
            "",
        ] {
            let answer = bring(at, &json!({"trigger": kind, "fields": {}}));
            assert_eq!(answer.status, 422, "{kind:?} at {at:?}: {answer:?}");
        }
        for text in [
            r#"{"trigger":"on_mail","trigger":"on_tick","fields":{}}"#,
            r#"{"trigger":"on_tick","trigger":"on_mail","fields":{}}"#,
            r#"{"trigger":"on_event","tr\u0069gger":"on_tick","fields":{}}"#,
            r#"{"trigger":"on_mail","fields":{"from_node":"a","from\u005fnode":"b"}}"#,
            r#"{"trigger":"on_mail","fields":{},"source":"operator"}"#,
            r#"{"trigger":"on_mail","fields":{},"may_assert_sender":true}"#,
            r#"{"trigger":["on_tick"],"fields":{}}"#,
            r#"[{"trigger":"on_mail","fields":{}}]"#,
        ] {
            let answer = send(at, "POST", "/thrall/events", &[], text.as_bytes()).unwrap();
            assert_eq!(answer.status, 422, "{text} at {at:?}: {answer:?}");
        }
    }
    // A batch is refused whole if one of it may not be brought.
    let batch = format!("{}\n{}\n", team_mail("m1"), json!({"trigger": "on_tick", "fields": {}}));
    let answer = send(&ways.agent[0], "POST", "/thrall/events", &[], batch.as_bytes()).unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    let answer = bring(&ways.bridge[0], &team_mail("m2"));
    assert_eq!(answer.status, 403, "the bridge brings on_event alone: {answer:?}");
    assert_eq!(
        ways.home.database().query_row(
            "SELECT count(*) FROM envelopes WHERE source <> 'tick'",
            [],
            |row| row.get::<_, i64>(0)
        ),
        Ok(0)
    );
}

#[test]
fn separation_is_said_wherever_one_looks() {
    let ways = ways();
    for path in ["/health", "/thrall/recipes", "/thrall/grants"] {
        let answer = ask(&ways.agent[0], "GET", path);
        assert_eq!(answer.body["separation"], "advisory", "{path}: {answer:?}");
        assert_eq!(answer.body["mode_ceiling"], "automated", "{path}: {answer:?}");
    }
    let doctor = ways.home.run(&["doctor"]).stdout;
    assert!(doctor.contains("separation = \"advisory\": no agent user is set"), "{doctor}");
    assert!(doctor.contains("accepted by accept_advisory"), "{doctor}");
}

#[test]
fn without_separation_or_consent_recipes_are_held_down_and_it_is_said() {
    let home = TestHome::new();
    home.roles("accept_advisory = false");
    home.recipe("log-all", LOG_ALL);
    let serving = Serving::ready(home.spawn(&["serve"]));
    let said = serving.said().join("\n");
    assert!(said.contains("separation = \"advisory\""), "{said}");
    assert!(said.contains("Recipes are supervised at most (log-all)"), "{said}");
    let health = ask(&At::Socket(home.path("run/agent.sock")), "GET", "/health");
    assert_eq!(health.body["mode_ceiling"], "supervised", "{health:?}");
    let doctor = home.run(&["doctor"]).stdout;
    assert!(doctor.contains("recipes are supervised at most"), "{doctor}");
    assert!(doctor.contains("[roles] agent_users"), "{doctor}");
}
