//! From what wasmtime reports to the fault that is journaled. Pure: the error
//! and what the run used go in, a [`GuestFault`] comes out. Texts that a guest
//! can shape (names in a backtrace) are cleaned and bounded.

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::stage::{GuestFault, StageLimits};

use super::printable::printable;
use super::run_state::RunState;

/// A fault's text is for a table and a journal row, not a page.
const MAX_TEXT_BYTES: usize = 500;
const MAX_NAME_BYTES: usize = 120;

/// On an error: the instance could not be made. A start function that traps
/// is the guest's failure all the same.
#[derive(Debug)]
pub(super) struct NotStarted;

impl std::fmt::Display for NotStarted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the component could not be instantiated")
    }
}

/// Names why a call failed.
pub(super) fn classify(
    error: &wasmtime::Error,
    state: &RunState,
    limits: &StageLimits,
) -> GuestFault {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return GuestFault::OutOfFuel(limits.fuel),
        Some(Trap::Interrupt) => {
            return GuestFault::TimedOut(format!(
                "more than {} ms in the guest itself",
                limits.guest_time.as_millis()
            ));
        }
        _ => {}
    }
    if state.memory.refused() {
        return GuestFault::OutOfMemory(state.memory.allowed());
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return GuestFault::Trapped(format!("exited with status {status}"));
    }
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    match error.downcast_ref::<Trap>() {
        Some(trap) if is_malformed_value(*trap) => GuestFault::BadAnswer(text_of(*trap)),
        Some(trap) => GuestFault::Trapped(place(&text_of(*trap), backtrace)),
        None if backtrace.is_none() && error.is::<NotStarted>() => {
            GuestFault::NotLoaded(cause(error))
        }
        // Not in the guest's code, so it is the answer that cannot be read.
        None if backtrace.is_none() => GuestFault::BadAnswer(cause(error)),
        None => GuestFault::Trapped(place(&cause(error), backtrace)),
    }
}

/// The call cannot even begin.
pub(super) fn not_started(error: &wasmtime::Error) -> GuestFault {
    GuestFault::NotLoaded(cause(error))
}

/// What a guest says when it refuses, fit to be shown.
pub(super) fn refused(reason: &str) -> GuestFault {
    GuestFault::Refused(printable(reason, MAX_TEXT_BYTES))
}

/// A panic of the host while it ran this guest.
pub(super) fn host_panicked(panic: &(dyn std::any::Any + Send)) -> GuestFault {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    GuestFault::Trapped(printable(
        &format!("the host failed while it ran this component: {text}"),
        MAX_TEXT_BYTES,
    ))
}

fn is_malformed_value(trap: Trap) -> bool {
    matches!(
        trap,
        Trap::InvalidChar
            | Trap::StringOutOfBounds
            | Trap::ListOutOfBounds
            | Trap::InvalidDiscriminant
            | Trap::UnalignedPointer
    )
}

fn text_of(trap: Trap) -> String {
    let text = trap.to_string();
    // The fault says "trapped" already.
    text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
}

fn cause(error: &wasmtime::Error) -> String {
    printable(&error.root_cause().to_string(), MAX_TEXT_BYTES)
}

fn place(what: &str, backtrace: Option<&WasmBacktrace>) -> String {
    let function = backtrace
        .and_then(|backtrace| backtrace.frames().first())
        .and_then(|frame| frame.func_name());
    match function {
        Some(name) => format!("{what} in {}", printable(name, MAX_NAME_BYTES)),
        None => what.to_owned(),
    }
}
