//! What wit-bindgen makes of `wit/`, and nothing else: one module with the
//! shared types and every host call, and one module per world that borrows its
//! types from the first. This is the only place of the kit where unsafe code
//! expands.
//!
//! A component imports only what its code really calls: the description of the
//! unused rest is dropped when the component is put together, so its list of
//! imports stays an honest report of what it can do.

#![allow(unsafe_code, reason = "the generated glue crosses the sandbox boundary")]
#![allow(
    clippy::all,
    clippy::indexing_slicing,
    clippy::uninlined_format_args,
    clippy::semicolon_if_nothing_returned,
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    unreachable_pub,
    reason = "generated code keeps its own style"
)]
#![allow(missing_docs, reason = "documented in wit/")]

/// The shared types and the host calls.
pub mod host {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package thrall:sdk;
            world host {
                import thrall:recipe/types@1.0.0;
                import thrall:recipe/operations@1.0.0;
                import thrall:recipe/log@1.0.0;
                import thrall:recipe/context-read@1.0.0;
                import thrall:recipe/journal-read@1.0.0;
                import thrall:recipe/breaker-read@1.0.0;
                import thrall:recipe/model@1.0.0;
                import thrall:recipe/cockpit-read@1.0.0;
            }
        ",
        additional_derives: [PartialEq],
        generate_unused_types: true,
        generate_all,
    });
}

/// World `filter`.
pub mod filter {
    wit_bindgen::generate!({
        path: "../wit",
        world: "filter",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "thrall_sdk::bindings::filter",
        additional_derives: [PartialEq],
        with: {
            "thrall:recipe/types@1.0.0": super::host::thrall::recipe::types,
            "thrall:recipe/log@1.0.0": super::host::thrall::recipe::log,
            "thrall:recipe/context-read@1.0.0": super::host::thrall::recipe::context_read,
            "thrall:recipe/journal-read@1.0.0": super::host::thrall::recipe::journal_read,
            "thrall:recipe/breaker-read@1.0.0": super::host::thrall::recipe::breaker_read,
        },
    });
}

/// World `hotwire`.
pub mod hotwire {
    wit_bindgen::generate!({
        path: "../wit",
        world: "hotwire",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "thrall_sdk::bindings::hotwire",
        with: {
            "thrall:recipe/types@1.0.0": super::host::thrall::recipe::types,
            "thrall:recipe/log@1.0.0": super::host::thrall::recipe::log,
            "thrall:recipe/context-read@1.0.0": super::host::thrall::recipe::context_read,
            "thrall:recipe/journal-read@1.0.0": super::host::thrall::recipe::journal_read,
            "thrall:recipe/breaker-read@1.0.0": super::host::thrall::recipe::breaker_read,
            "thrall:recipe/model@1.0.0": super::host::thrall::recipe::model,
            "thrall:recipe/cockpit-read@1.0.0": super::host::thrall::recipe::cockpit_read,
        },
    });
}

/// World `action`.
pub mod action {
    wit_bindgen::generate!({
        path: "../wit",
        world: "action",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "thrall_sdk::bindings::action",
        with: {
            "thrall:recipe/types@1.0.0": super::host::thrall::recipe::types,
            "thrall:recipe/operations@1.0.0": super::host::thrall::recipe::operations,
            "thrall:recipe/log@1.0.0": super::host::thrall::recipe::log,
            "thrall:recipe/context-read@1.0.0": super::host::thrall::recipe::context_read,
            "thrall:recipe/journal-read@1.0.0": super::host::thrall::recipe::journal_read,
            "thrall:recipe/breaker-read@1.0.0": super::host::thrall::recipe::breaker_read,
            "thrall:recipe/model@1.0.0": super::host::thrall::recipe::model,
            "thrall:recipe/cockpit-read@1.0.0": super::host::thrall::recipe::cockpit_read,
        },
    });
}
