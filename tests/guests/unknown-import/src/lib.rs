//! Imports an interface that the host does not offer: refused when it is
//! loaded, by name. Exports a proper hotwire otherwise.

#![allow(unsafe_code, reason = "the generated glue crosses the sandbox boundary")]
#![allow(clippy::all, clippy::indexing_slicing, reason = "generated code keeps its own style")]

wit_bindgen::generate!({
    path: "../../../wit",
    inline: r"
        package guest:unknown-import;
        interface made-up {
            launch: func() -> bool;
        }
        world guest {
            include thrall:recipe/hotwire@1.0.0;
            import made-up;
        }
    ",
    generate_all,
});

struct UnknownImport;

impl Guest for UnknownImport {
    fn evaluate(_: Envelope, _: Situation) -> Result<Option<Verdict>, String> {
        if guest::unknown_import::made_up::launch() { Ok(None) } else { Err("no".into()) }
    }
}

export!(UnknownImport);
