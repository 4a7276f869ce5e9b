//! What a plan can ask the host to do: the types of WIT interface
//! `operations`, under their own names.

pub use crate::bindings::host::thrall::recipe::operations::{
    AnswerOp, BreakerOp, CompileOp, ContextOp, ExtensionOp, FlagOp, MailOp, Operation, ReplyOp,
    SkillOp, TriggerOp, WakeMode, WakeOp,
};
