//! Looking sessions up, many together, in two steps.
//!
//! The first asks Redis, or the store where there is none or it is away. Without Redis it answers everything. With it,
//! what Redis lacks, or has not been compared with the store for about a tenth of the idle time, takes the second: one
//! lookup in the store, and after the answers one round trip that brings Redis up to date.
//!
//! A row of the store is judged with what is known beside it: that its session was seen since, which a copy in Redis
//! may say, or a [note](super::notes) of this process that is not written yet.

use std::time::Instant;

use server_time::Now;
use store::{Cause, SessionRow, StoreError};

use super::cache::{Copy, Ticket};
use super::generation::Known;
use super::notes::Note;
use super::{SessionKeeper, SessionRules};

type Digest = [u8; 32];

/// What looking a session up has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It is live.
    Live(SessionRow),
    /// It is not.
    Dead,
    /// The store cannot say. Its row has idled out; but it takes no notes at present, so it may lack that the session
    /// was in use. Or it has ended, and Redis could not be told.
    Unknown,
    /// The clock has jumped, and the session is live by one of the two times.
    Undated,
    /// Redis cannot say; the store has to be asked.
    Unresolved,
}

/// What the first step has shown.
pub struct Lookup {
    /// In the order of the digests.
    pub sightings: Vec<Sighting>,
    /// Those that are [`Sighting::Unresolved`], if any, for [`SessionKeeper::resolve`].
    pub unresolved: Option<Unresolved>,
}

/// Sessions that take the second step.
pub struct Unresolved {
    digests: Vec<Digest>,
    /// What Redis has of each.
    copies: Vec<Option<SessionRow>>,
    /// The generation that Redis was asked under.
    known: Known,
}

impl Unresolved {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.digests.len()
    }
}

/// What the second step has shown.
#[derive(Default)]
pub struct Resolved {
    /// In the order in which they were unresolved.
    pub sightings: Vec<Sighting>,
    /// For [`SessionKeeper::update_copies`].
    pub stale: StaleCopies,
}

/// What Redis has to be told.
#[derive(Default)]
pub struct StaleCopies {
    ticket: Option<Ticket>,
    copies: Vec<Copy>,
}

impl SessionKeeper {
    /// Looks sessions up, all together; at most
    /// [`SESSIONS_TOGETHER_MAX`](store::limits::SESSIONS_TOGETHER_MAX). That they were seen is noted, to be
    /// written later. Blocks for one round trip, or two where Redis is away.
    ///
    /// # Errors
    /// [`StoreError`]: of none it is known whether it is live.
    pub fn look_up(
        &self,
        digests: &[Digest],
        now: Now,
        deadline: Instant,
    ) -> Result<Lookup, StoreError> {
        // None is left when all tokens were forged, and Redis has no command that reads nothing.
        if digests.is_empty() {
            return Ok(Lookup { sightings: Vec::new(), unresolved: None });
        }
        let copies = self.cache.as_ref().and_then(|cache| cache.find(digests, deadline));
        let Some(copies) = copies else {
            let sightings = self.ask_store(digests, &[], now, deadline)?;
            return Ok(Lookup { sightings, unresolved: None });
        };
        let rules = self.rules();
        let mut unresolved =
            Unresolved { digests: Vec::new(), copies: Vec::new(), known: copies.known };
        let sighting = |(digest, copy): (&Digest, Option<SessionRow>)| match copy {
            Some(row)
                if now.is_before(row.expires_at_ms) == Some(true)
                    && !is_due(&rules, digest, &row, now.ms()) =>
            {
                Sighting::Live(row)
            }
            copy => {
                unresolved.digests.push(*digest);
                unresolved.copies.push(copy);
                Sighting::Unresolved
            }
        };
        let sightings = digests.iter().zip(copies.rows).map(sighting).collect();
        let unresolved = (!unresolved.digests.is_empty()).then_some(unresolved);
        Ok(Lookup { sightings, unresolved })
    }

    /// Asks the store for what Redis could not say, all together. A session that Redis has and the store has not is
    /// ended in Redis too, before this returns. Blocks for two round trips, seldom for more.
    ///
    /// # Errors
    /// [`StoreError`]: of none it is known whether it is live.
    pub fn resolve(
        &self,
        unresolved: Unresolved,
        now: Now,
        deadline: Instant,
    ) -> Result<Resolved, StoreError> {
        let Unresolved { digests, copies, known } = unresolved;
        let Some(cache) = &self.cache else { return Ok(Resolved::default()) };
        let ticket = cache.ticket(known, copies.iter().any(Option::is_none), deadline);
        let mut sightings = self.ask_store(&digests, &copies, now, deadline)?;

        // Redis missed that these ended. A copy whose time is over does no harm.
        let is_outlived = |place: usize| {
            sightings[place] == Sighting::Dead
                && copies[place]
                    .as_ref()
                    .is_some_and(|copy| now.is_before(copy.expires_at_ms) != Some(false))
        };
        let outlived: Vec<usize> = (0..digests.len()).filter(|place| is_outlived(*place)).collect();
        if !outlived.is_empty() {
            let ended: Vec<Digest> = outlived.iter().map(|place| digests[*place]).collect();
            if let Err(error) = cache.end(&ended) {
                tracing::debug!(%error, "sessions that have ended may still be in Redis");
                outlived.into_iter().for_each(|place| sightings[place] = Sighting::Unknown);
            }
        }
        let copies = digests.iter().zip(copies).zip(&sightings);
        let copies = copies.filter_map(|((digest, copy), sighting)| match sighting {
            Sighting::Live(row) => {
                Some(Copy { digest: *digest, row: row.clone(), is_missing: copy.is_none() })
            }
            _ => None,
        });
        let stale = StaleCopies { ticket, copies: copies.collect() };
        Ok(Resolved { sightings, stale })
    }

    /// Brings to Redis what [`resolve`](Self::resolve) has found; nobody needs to wait for it. Blocks for one round
    /// trip.
    pub fn update_copies(&self, stale: &StaleCopies, deadline: Instant) {
        if let (Some(cache), Some(ticket)) = (&self.cache, &stale.ticket) {
            cache.update(ticket, &stale.copies, deadline);
        }
    }

    /// The session with this digest if it is live: both steps for one. That it was seen is noted, to be written later.
    ///
    /// # Errors
    /// [`StoreError`]: whether it is live is not known.
    pub fn find(
        &self,
        digest: &Digest,
        now: Now,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let Lookup { mut sightings, unresolved } = self.look_up(&[*digest], now, deadline)?;
        if let Some(unresolved) = unresolved {
            let resolved = self.resolve(unresolved, now, deadline)?;
            self.update_copies(&resolved.stale, deadline);
            sightings = resolved.sightings;
        }
        match sightings.pop() {
            Some(Sighting::Live(row)) => Ok(Some(row)),
            Some(Sighting::Dead) => Ok(None),
            Some(Sighting::Undated) => Err(UNDATED),
            Some(Sighting::Unknown | Sighting::Unresolved) | None => Err(UNKNOWN),
        }
    }

    /// Whose session it is, if it is live. Unlike [`find`](Self::find) it notes nothing: for a session that is about to
    /// end.
    ///
    /// # Errors
    /// [`StoreError`]: whether it is live is not known.
    pub fn owner(
        &self,
        digest: &Digest,
        now: Now,
        deadline: Instant,
    ) -> Result<Option<u64>, StoreError> {
        let pending = self.notes.of(&[*digest]);
        let row = self.store.session(digest, AT_ANY_TIME, deadline)?;
        let sighting = row.map(|row| judge(row, None, pending.note(0), pending.is_refused, now));
        match sighting {
            Some(Sighting::Live(row)) => Ok(Some(row.user_id)),
            _ => Ok(None),
        }
    }

    /// Looks up what the store has, together with what Redis has of each, unless there are no copies.
    fn ask_store(
        &self,
        digests: &[Digest],
        copies: &[Option<SessionRow>],
        now: Now,
        deadline: Instant,
    ) -> Result<Vec<Sighting>, StoreError> {
        let pending = self.notes.of(digests);
        let rows = match digests {
            [digest] => vec![self.store.session(digest, AT_ANY_TIME, deadline)?],
            digests => self.store.sessions(digests, AT_ANY_TIME, deadline)?,
        };
        let (rules, mut due) = (self.rules(), Vec::new());
        let sighting = |(place, row): (usize, Option<SessionRow>)| {
            let Some(row) = row else { return Sighting::Dead };
            let copy = copies.get(place).and_then(Option::as_ref);
            let mut sighting = judge(row, copy, pending.note(place), pending.is_refused, now);
            if let Sighting::Live(row) = &mut sighting
                && is_due(&rules, &digests[place], row, now.ms())
            {
                row.last_seen_at_ms = now.ms();
                row.expires_at_ms = self.expiry(now.ms(), row.ends_at_ms);
                due.push((digests[place], note(&rules, row)));
            }
            sighting
        };
        let sightings = rows.into_iter().enumerate().map(sighting).collect();
        self.notes.add(&due);
        Ok(sightings)
    }
}

fn note(rules: &SessionRules, row: &SessionRow) -> Note {
    let interval_ms = rules.shortest_note_interval_ms();
    Note {
        seen_at_ms: row.last_seen_at_ms,
        unless_seen_after_ms: row.last_seen_at_ms.saturating_sub(interval_ms),
        expires_at_ms: row.expires_at_ms,
    }
}

/// Whether a note is due that the session was seen.
fn is_due(rules: &SessionRules, digest: &Digest, row: &SessionRow, now_ms: u64) -> bool {
    let interval_ms = rules.note_interval_ms(digest, row.last_seen_at_ms);
    now_ms.saturating_sub(row.last_seen_at_ms) >= interval_ms
}

/// What [`Sighting::Unknown`] is as an error.
pub const UNKNOWN: StoreError = StoreError::Unavailable(Cause::Unsure);

/// What [`Sighting::Undated`] is as an error.
pub const UNDATED: StoreError = StoreError::Unavailable(Cause::ClockDoubted);

/// What the store has to be asked with to have every row that it has, whether its time is over or not.
const AT_ANY_TIME: u64 = 0;

/// What a row of the store comes to, with what is known of the session since.
fn judge(
    mut row: SessionRow,
    copy: Option<&SessionRow>,
    note: Option<&Note>,
    is_refused: bool,
    now: Now,
) -> Sighting {
    let copy = copy.map(|copy| (copy.last_seen_at_ms, copy.expires_at_ms));
    let note = note.map(|note| (note.seen_at_ms, note.expires_at_ms));
    for (seen_at_ms, expires_at_ms) in copy.into_iter().chain(note) {
        if row.last_seen_at_ms < seen_at_ms {
            (row.last_seen_at_ms, row.expires_at_ms) = (seen_at_ms, expires_at_ms);
        }
    }
    match now.is_before(row.expires_at_ms) {
        Some(true) => Sighting::Live(row),
        None => Sighting::Undated,
        Some(false) if is_refused && now.is_before(row.ends_at_ms) != Some(false) => {
            Sighting::Unknown
        }
        Some(false) => Sighting::Dead,
    }
}
