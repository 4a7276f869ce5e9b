//! What a component's imports meet: one linker per world with that world's
//! interfaces and the empty WASI world, and a component bound to it ahead of
//! its calls.

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use crate::stage::World;

use super::bindings::{action, filter, hotwire, types};
use super::run_state::RunState;
use super::wasi_world;

/// One linker for each world.
pub(super) struct Linkers {
    filter: Linker<RunState>,
    hotwire: Linker<RunState>,
    action: Linker<RunState>,
}

/// A component with its imports resolved and its export found.
pub(super) enum LinkedComponent {
    Filter(filter::FilterPre<RunState>),
    Hotwire(hotwire::HotwirePre<RunState>),
    Action(action::ActionPre<RunState>),
}

impl LinkedComponent {
    pub(super) fn world(&self) -> World {
        match self {
            Self::Filter(_) => World::Filter,
            Self::Hotwire(_) => World::Hotwire,
            Self::Action(_) => World::Action,
        }
    }
}

impl Linkers {
    /// # Errors
    /// Two interfaces define the same name: a mistake in `wit/`.
    pub(super) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut linkers = Self {
            filter: Linker::new(engine),
            hotwire: Linker::new(engine),
            action: Linker::new(engine),
        };
        filter::Filter::add_to_linker::<_, HasSelf<_>>(&mut linkers.filter, |state| state)?;
        hotwire::Hotwire::add_to_linker::<_, HasSelf<_>>(&mut linkers.hotwire, |state| state)?;
        action::Action::add_to_linker::<_, HasSelf<_>>(&mut linkers.action, |state| state)?;
        for linker in [&mut linkers.filter, &mut linkers.hotwire, &mut linkers.action] {
            wasi_world::add_to_linker(linker)?;
        }
        Ok(linkers)
    }

    /// Binds a component to its world and compares every type on the way, so
    /// that nothing of that is left to a call.
    ///
    /// # Errors
    /// An import is missing or of another type, or the export is.
    pub(super) fn link(
        &self,
        world: World,
        component: &Component,
    ) -> wasmtime::Result<LinkedComponent> {
        match world {
            World::Filter => {
                type Answer = Result<filter::Decision, String>;
                let linked = self.filter.instantiate_pre(component)?;
                check_export::<(&types::Envelope, &types::Situation), (Answer,)>(&linked, world)?;
                filter::FilterPre::new(linked).map(LinkedComponent::Filter)
            }
            World::Hotwire => {
                type Answer = Result<Option<types::Verdict>, String>;
                let linked = self.hotwire.instantiate_pre(component)?;
                check_export::<(&types::Envelope, &types::Situation), (Answer,)>(&linked, world)?;
                hotwire::HotwirePre::new(linked).map(LinkedComponent::Hotwire)
            }
            World::Action => {
                type Arguments<'a> =
                    (&'a types::Envelope, &'a types::Situation, &'a types::Verdict);
                type Answer = Result<Vec<super::bindings::operations::Operation>, String>;
                let linked = self.action.instantiate_pre(component)?;
                check_export::<Arguments<'_>, (Answer,)>(&linked, world)?;
                action::ActionPre::new(linked).map(LinkedComponent::Action)
            }
        }
    }
}

/// The function that a world exports.
pub(super) fn export_name(world: World) -> &'static str {
    match world {
        World::Filter => "decide",
        World::Hotwire => "evaluate",
        World::Action => "plan",
    }
}

/// The generated bindings would compare the export's type only at each call.
fn check_export<Arguments, Answer>(
    linked: &InstancePre<RunState>,
    world: World,
) -> wasmtime::Result<()>
where
    Arguments: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
    Answer: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
{
    use wasmtime::component::types::ComponentItem;
    let name = export_name(world);
    let component = linked.component();
    let wrong = || {
        wasmtime::format_err!(
            "the export {name:?} has another type than in thrall:recipe; was the component built against another version of the contract?"
        )
    };
    match component.component_type().get_export(component.engine(), name).map(|item| item.ty) {
        Some(ComponentItem::ComponentFunc(function)) => function
            .typecheck::<Arguments, Answer>(&linked.instance_type())
            .map_err(|reason| reason.context(wrong())),
        _ => Err(wrong()),
    }
}
