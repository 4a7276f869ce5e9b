//! Whole runs with a scripted world: no sandbox, no model, no store. The parts
//! have their own tests beside them.

mod evaluating;
mod gathering;
mod scripted;
