//! What a component meets behind each WASI import, for people who decide
//! whether to trust it. Pure: names in, answers out. That it really is so is
//! up to `wasi_world.rs`; `tests/it/wasi.rs` holds the two together.

use serde::{Deserialize, Serialize};

/// A WASI interface that a component imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasiImport {
    /// With its package and without version: `wasi:cli/stdout`.
    pub interface: String,
    pub meets: WasiAnswer,
}

/// What stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WasiAnswer {
    /// Files and sockets: every call is refused, and no grant changes that.
    AlwaysDenied,
    /// Clocks and random numbers: made from the event, the same at each run.
    Virtual,
    /// Output: becomes lines of the run's log.
    Captured,
    /// Environment, arguments, standard input, terminals: nothing is there.
    Empty,
    /// Ends the call, as a trap does.
    EndsTheCall,
    /// What the others are made of; nothing by itself.
    Plumbing,
}

impl WasiAnswer {
    /// In the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::AlwaysDenied,
        Self::Virtual,
        Self::Captured,
        Self::Empty,
        Self::EndsTheCall,
        Self::Plumbing,
    ];

    /// As a phrase that goes before a list of interfaces.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::AlwaysDenied => "always answer denied",
            Self::Virtual => "virtual, from the event's time and seed",
            Self::Captured => "captured into the run's log",
            Self::Empty => "empty",
            Self::EndsTheCall => "ends the call",
            Self::Plumbing => "nothing by themselves",
        }
    }
}

/// The WASI interfaces among a component's imports, in their order.
pub(super) fn wasi_imports(imports: &[String]) -> Vec<WasiImport> {
    imports
        .iter()
        .filter_map(|import| {
            answer(import).map(|meets| WasiImport { interface: import.clone(), meets })
        })
        .collect()
}

fn answer(import: &str) -> Option<WasiAnswer> {
    let (package, interface) = import.strip_prefix("wasi:")?.split_once('/')?;
    Some(match (package, interface) {
        ("clocks" | "random", _) => WasiAnswer::Virtual,
        ("cli", "stdout" | "stderr") => WasiAnswer::Captured,
        ("cli", "exit") => WasiAnswer::EndsTheCall,
        ("cli", _) => WasiAnswer::Empty,
        ("io", _) => WasiAnswer::Plumbing,
        // Files, sockets, and whatever else a later version may link: nothing
        // is given until someone has decided what.
        _ => WasiAnswer::AlwaysDenied,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_import_says_what_it_meets() {
        let imports = [
            "context-read",
            "wasi:cli/environment",
            "wasi:cli/exit",
            "wasi:cli/stdout",
            "wasi:clocks/monotonic-clock",
            "wasi:filesystem/types",
            "wasi:io/streams",
            "wasi:random/random",
            "wasi:sockets/tcp",
        ];
        let told: Vec<_> = wasi_imports(&imports.map(ToOwned::to_owned))
            .into_iter()
            .map(|import| import.meets)
            .collect();
        use WasiAnswer::*;
        let expected =
            [Empty, EndsTheCall, Captured, Virtual, AlwaysDenied, Plumbing, Virtual, AlwaysDenied];
        assert_eq!(told, expected);
    }
}
