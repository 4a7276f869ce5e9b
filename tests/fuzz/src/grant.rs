//! Grant files. What loads grants the same however it is written; a damaged
//! file grants nothing at all.

use thrall::grants;

use crate::{places, shape};

/// Pieces of grants.
pub const WORDS: &[&str] = &[
    "mode = \"supervised\"\n",
    "mode = \"automated\"\n",
    "recipe = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n",
    "follow = \"exact\"\n",
    "follow = \"same-or-narrower\"\n",
    "imports = [\"context-read\", \"model\"]\n",
    "shared = [\"flags\"]\n",
    "[reads]\n",
    "journal = { scope = \"own\" }\n",
    "context = { scope = \"all\" }\n",
    "flags = { prefixes = [\"oom:\"] }\n",
    "breakers = { targets = [\"x\"] }\n",
    "cockpit = { routes = [\"status\"] }\n",
    "model = { prompts = [\"triage\"], models = [\"*\"] }\n",
    "gather = { files = [\"/var/log/x\"] }\n",
    "[operations]\n",
    "operations = [\"wake\", \"reply\"]\n",
    "compile = { buffers = [\"b\"] }\n",
    "wake = { per_hour = 6 }\n",
    "reply = { to = \"sender\", body = \"template\", per_hour = 5 }\n",
    "skill = { \"x\" = { input = { action = [\"poll\"] }, max_input_bytes = 10 } }\n",
    "set-flag = { prefixes = [\"a\"] }\n",
    "trip-breaker = { targets = [\"x\"] }\n",
    "trigger = { kinds = [\"follow-up\"] }\n",
    "answer = { codes = [\"pass\"] }\n",
    "[budget]\n",
    "host_calls_per_run = 64\n",
    "[limits]\n",
    "memory_mib = 16\n",
    "fuel = 50_000_000\n",
    "\"*\"",
    "../",
    "18446744073709551615",
    "-1",
    "\"\"\"",
    "\\u0000",
    "[[",
    "{",
    "# ",
    "\r\n",
];

/// The target.
#[must_use]
pub fn grant(data: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(data) else {
        return places::check(data, &grants::parse_bytes("fuzzed", data).unwrap_err());
    };
    match grants::parse("fuzzed", text) {
        Err(problems) => places::check(data, &problems),
        Ok(granted) => {
            let with_comment = format!("# a comment\n{text}");
            let again = grants::parse("fuzzed", &with_comment).expect("a comment changes nothing");
            assert_eq!(again.digest, granted.digest, "{text}");
            shape::of((granted.mode.as_str(), &granted.digest.0))
        }
    }
}
