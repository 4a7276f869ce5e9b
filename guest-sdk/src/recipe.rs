//! The three worlds as traits, and the macros that make a component of a type
//! that implements one.
//!
//! The export macros do nothing but check the type on other targets than wasm,
//! so that several recipes can be linked into one native test.

use crate::{Decision, Envelope, Operation, Situation, Verdict};

/// World `filter`: decides whether an event goes on.
pub trait Filter {
    /// # Errors
    /// The text is journaled, and the recipe's `on_failure` applies; by
    /// default the event goes on.
    fn decide(envelope: &Envelope, situation: &Situation) -> Result<Decision, String>;
}

/// World `hotwire`: reaches a verdict, or leaves it to the next evaluator.
pub trait Hotwire {
    /// `None` leaves the event to the next evaluator.
    ///
    /// # Errors
    /// The text is journaled, and the recipe's `on_failure` applies; by
    /// default the next evaluator decides.
    fn evaluate(envelope: &Envelope, situation: &Situation) -> Result<Option<Verdict>, String>;
}

/// World `action`: turns a verdict into a plan.
pub trait Action {
    /// At most 32 operations of at most 64 KiB each; the host checks each
    /// against the grant before anything is done.
    ///
    /// # Errors
    /// The text is journaled, nothing is performed, and the recipe's fallback
    /// applies.
    fn plan(
        envelope: &Envelope,
        situation: &Situation,
        verdict: &Verdict,
    ) -> Result<Vec<Operation>, String>;
}

/// Makes the crate a component of world `filter`. Takes a type that implements
/// [`Filter`]; use it once per crate.
#[macro_export]
#[rustfmt::skip]
macro_rules! export_filter {
    ($recipe:ident) => {
        const _: () = {
            struct Export;
            impl $crate::bindings::filter::Guest for Export {
                fn decide(
                    envelope: $crate::Envelope,
                    situation: $crate::Situation,
                ) -> ::core::result::Result<$crate::Decision, ::std::string::String> {
                    <$recipe as $crate::Filter>::decide(&envelope, &situation)
                }
            }
            // Where nothing is exported, the type still counts as used.
            #[cfg(not(target_arch = "wasm32"))]
            const _: () = {
                let _ = <Export as $crate::bindings::filter::Guest>::decide;
            };
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::filter::export!(Export with_types_in $crate::bindings::filter);
        };
    };
}

/// Makes the crate a component of world `hotwire`. Takes a type that
/// implements [`Hotwire`]; use it once per crate.
#[macro_export]
#[rustfmt::skip]
macro_rules! export_hotwire {
    ($recipe:ident) => {
        const _: () = {
            struct Export;
            impl $crate::bindings::hotwire::Guest for Export {
                fn evaluate(
                    envelope: $crate::Envelope,
                    situation: $crate::Situation,
                ) -> ::core::result::Result<
                    ::core::option::Option<$crate::Verdict>,
                    ::std::string::String,
                > {
                    <$recipe as $crate::Hotwire>::evaluate(&envelope, &situation)
                }
            }
            #[cfg(not(target_arch = "wasm32"))]
            const _: () = {
                let _ = <Export as $crate::bindings::hotwire::Guest>::evaluate;
            };
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::hotwire::export!(Export with_types_in $crate::bindings::hotwire);
        };
    };
}

/// Makes the crate a component of world `action`. Takes a type that implements
/// [`Action`]; use it once per crate.
#[macro_export]
#[rustfmt::skip]
macro_rules! export_action {
    ($recipe:ident) => {
        const _: () = {
            struct Export;
            impl $crate::bindings::action::Guest for Export {
                fn plan(
                    envelope: $crate::Envelope,
                    situation: $crate::Situation,
                    verdict: $crate::Verdict,
                ) -> ::core::result::Result<
                    ::std::vec::Vec<$crate::Operation>,
                    ::std::string::String,
                > {
                    <$recipe as $crate::Action>::plan(&envelope, &situation, &verdict)
                }
            }
            #[cfg(not(target_arch = "wasm32"))]
            const _: () = {
                let _ = <Export as $crate::bindings::action::Guest>::plan;
            };
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::action::export!(Export with_types_in $crate::bindings::action);
        };
    };
}
