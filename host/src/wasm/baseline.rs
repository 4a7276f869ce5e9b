//! The baseline that a fresh instance is compared with: the same call on an
//! instance that is there already. For `thrall bench engine`; decisions never
//! share an instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::WasmSandbox;
use super::convert;
use super::linker::LinkedComponent;
use crate::envelope::Envelope;
use crate::stage::{ComponentId, GuestFault, HostCalls, StageLimits};
use crate::verdict::Situation;

impl WasmSandbox {
    /// Calls one instance of a hotwire component `calls` times and gives the
    /// duration of each call.
    ///
    /// # Errors
    /// Whatever stops the guest.
    pub async fn warm_calls(
        &self,
        component: ComponentId,
        envelope: &Envelope,
        situation: &Situation,
        host: Arc<dyn HostCalls>,
        calls: u32,
    ) -> Result<Vec<Duration>, GuestFault> {
        let loaded = self.find(component)?;
        let LinkedComponent::Hotwire(linked) = &loaded.linked else {
            return Err(GuestFault::NotLoaded("the baseline calls hotwire components".to_owned()));
        };
        let limits = StageLimits { fuel: u64::MAX / 2, ..StageLimits::decider() };
        let mut call = self.begin(situation, limits, host).await?;
        let failed = |error: wasmtime::Error| GuestFault::Trapped(error.to_string());
        let guest = linked.instantiate_async(&mut call.store).await.map_err(failed)?;
        let (envelope, situation) =
            (convert::to_envelope(envelope), convert::to_situation(situation));
        let mut durations = Vec::new();
        for _ in 0..calls {
            let started = Instant::now();
            let answer = guest
                .call_evaluate(&mut call.store, &envelope, &situation)
                .await
                .map_err(failed)?;
            durations.push(started.elapsed());
            answer.map_err(GuestFault::Refused)?;
        }
        Ok(durations)
    }
}
