//! Connections that have not shown the credential: when there is no room, the oldest of them makes some.
//!
//! Whoever cannot show it can thus keep nobody out: not with heads that never end, nor with requests that are refused.
//! Nor by coming faster than anyone can speak: a newcomer has [`GRACE`], and until then others wait to be accepted.

use super::{meter::Meter, reply::Refusal};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{Duration, Instant, sleep},
};

/// Time for a head that was sent at once, on a loaded machine.
const GRACE: Duration = Duration::from_millis(100);
/// Meanwhile someone may leave.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The room there is for connections, and who may have to leave it.
#[derive(Clone)]
pub(super) struct Room {
    most: usize,
    free: Arc<Semaphore>,
    newcomers: Arc<Mutex<Newcomers>>,
}

#[derive(Default)]
struct Newcomers {
    /// The next one's number: the lowest there is came first.
    next: u64,
    here: BTreeMap<u64, Newcomer>,
}

struct Newcomer {
    permit: OwnedSemaphorePermit,
    since: Instant,
    /// What serves it.
    task: Option<AbortHandle>,
}

/// One connection's place.
pub(super) struct Place {
    room: Room,
    number: u64,
    /// Once the credential was shown, nobody takes it away.
    kept: Mutex<Option<OwnedSemaphorePermit>>,
    known: AtomicBool,
}

impl Room {
    pub(super) fn new(connections: usize) -> Self {
        let most = connections.min(Semaphore::MAX_PERMITS);
        Self { most, free: Arc::new(Semaphore::new(most)), newcomers: Arc::default() }
    }

    /// Places taken.
    pub(super) fn taken(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }

    /// Returns when the next connection can be told at once what becomes of it.
    pub(super) async fn ready(&self) {
        while self.free.available_permits() == 0 {
            let oldest = self.newcomers().here.first_key_value().map(|(_, newcomer)| newcomer.since.elapsed());
            if oldest.is_none_or(|age| age >= GRACE) {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// A place, if need be that of the oldest newcomer, which is cut and counted; `None` when all are known.
    pub(super) fn take(&self, meter: &Meter) -> Option<Place> {
        let mut newcomers = self.newcomers();
        let permit = Arc::clone(&self.free).try_acquire_owned().ok().or_else(|| {
            meter.refused(Refusal::Busy);
            newcomers.evict()
        })?;
        let number = newcomers.next;
        newcomers.next += 1;
        newcomers.here.insert(number, Newcomer { permit, since: Instant::now(), task: None });
        Some(Place { room: self.clone(), number, kept: Mutex::default(), known: AtomicBool::new(false) })
    }

    /// The newcomer of this number is served by that task. Between [`Room::take`] and this it cannot be cut.
    pub(super) fn served_by(&self, number: u64, task: AbortHandle) {
        if let Some(newcomer) = self.newcomers().here.get_mut(&number) {
            newcomer.task = Some(task);
        }
    }

    /// Cuts the oldest newcomer, if there is one: what it holds comes free.
    pub(super) fn make_some(&self, meter: &Meter) {
        if self.newcomers().evict().is_some() {
            meter.refused(Refusal::Busy);
        }
    }

    // Nothing in here can panic half-way.
    fn newcomers(&self) -> MutexGuard<'_, Newcomers> {
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomers {
    fn evict(&mut self) -> Option<OwnedSemaphorePermit> {
        let (_, Newcomer { permit, task, .. }) = self.here.pop_first()?;
        task.iter().for_each(AbortHandle::abort);
        Some(permit)
    }
}

impl Place {
    /// The number that [`Room::served_by`] takes.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The credential was shown.
    pub(super) fn known(&self) {
        if self.known.swap(true, Relaxed) {
            return;
        }
        // Evicted a moment ago, it has none to keep.
        let permit = self.room.newcomers().here.remove(&self.number).map(|newcomer| newcomer.permit);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !*self.known.get_mut() {
            drop(self.room.newcomers().here.remove(&self.number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinHandle;

    fn take(room: &Room, meter: &Meter) -> Option<(Place, JoinHandle<()>)> {
        let place = room.take(meter)?;
        let task = tokio::spawn(std::future::pending());
        room.served_by(place.number(), task.abort_handle());
        Some((place, task))
    }

    async fn is_cut(task: &mut JoinHandle<()>) -> bool {
        tokio::task::yield_now().await;
        task.is_finished()
    }

    #[tokio::test]
    async fn the_oldest_newcomer_makes_room_and_who_is_known_does_not() {
        let (room, meter) = (Room::new(3), Meter::default());
        let take = || take(&room, &meter);
        let [mut known, mut first, mut second] = [(); 3].map(|()| take().unwrap());
        known.0.known();
        let third = take().unwrap();
        assert!(is_cut(&mut first.1).await && !is_cut(&mut known.1).await && !is_cut(&mut second.1).await);
        second.0.known();
        third.0.known();
        assert!(take().is_none(), "everyone is known");
        assert_eq!(meter.refusals(), [("too_many_connections", 2)]);
        // Who was evicted has nothing to give back; who was not, has.
        drop(first);
        assert!(take().is_none());
        drop(known);
        assert!(take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_has_time_to_speak_and_who_comes_next_waits_no_longer_than_that() {
        let (room, meter) = (Room::new(1), Meter::default());
        let begun = Instant::now();
        room.ready().await;
        let newcomer = take(&room, &meter).unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "there is room");
        room.ready().await;
        assert!((GRACE..GRACE + 2 * LOOK_EVERY).contains(&begun.elapsed()));
        newcomer.0.known();
        let begun = Instant::now();
        room.ready().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody is waited for who stays");
    }

    #[tokio::test]
    async fn who_was_evicted_is_not_known_any_more() {
        let (room, meter) = (Room::new(1), Meter::default());
        let first = take(&room, &meter).unwrap();
        let mut second = take(&room, &meter).unwrap();
        first.0.known();
        drop(first);
        assert!(!is_cut(&mut second.1).await);
        drop(second);
        assert_eq!(room.free.available_permits(), 1);
        room.make_some(&meter);
        assert_eq!(meter.refusals(), [("too_many_connections", 1)], "there was nobody to cut");
    }
}
