//! How long a guest has been running, in ticks of the epoch. Pure: the ticks
//! come from `epoch_ticker.rs`. Time in host calls is not the guest's.

use std::time::Duration;

use wasmtime::UpdateDeadline;

use super::epoch_ticker::TICK;

/// The time that a guest has left.
#[derive(Debug)]
pub(super) struct GuestClock {
    ticks_left: u32,
    host_was_called: bool,
}

impl GuestClock {
    /// At least one tick, rounded up: a tick is the finest that is measured.
    pub(super) fn new(guest_time: Duration) -> Self {
        let ticks = guest_time.as_millis().div_ceil(TICK.as_millis()).max(1);
        Self { ticks_left: u32::try_from(ticks).unwrap_or(u32::MAX), host_was_called: false }
    }

    /// The tick that ends now was not spent in the guest alone.
    pub(super) fn host_called(&mut self) {
        self.host_was_called = true;
    }

    /// What happens to a guest that is seen running at a tick. It gives other
    /// tasks the thread and goes on, until nothing is left. A tick in which a
    /// host call ended is free, since most of it may have been waiting; the
    /// number of host calls is limited, so nobody lives on that.
    pub(super) fn tick(&mut self) -> UpdateDeadline {
        if std::mem::take(&mut self.host_was_called) {
            return UpdateDeadline::Yield(1);
        }
        match self.ticks_left.checked_sub(1) {
            Some(left) => {
                self.ticks_left = left;
                UpdateDeadline::Yield(1)
            }
            None => UpdateDeadline::Interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_until_interrupted(clock: &mut GuestClock) -> u32 {
        (0..).find(|_| matches!(clock.tick(), UpdateDeadline::Interrupt)).unwrap()
    }

    #[test]
    fn only_time_in_the_guest_counts() {
        assert_eq!(ticks_until_interrupted(&mut GuestClock::new(Duration::from_secs(2))), 200);

        let mut waiting = GuestClock::new(Duration::from_millis(30));
        for _ in 0..50 {
            waiting.host_called();
            assert!(matches!(waiting.tick(), UpdateDeadline::Yield(1)));
        }
        assert_eq!(ticks_until_interrupted(&mut waiting), 3);
    }
}
