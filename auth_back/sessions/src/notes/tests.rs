//! Notes that wait, and the thread that writes them.

use std::sync::Arc;

use store::testing::{Fault, patient};
use store::{NewSession, Sessions as _, Store};
use unix_time::unix_ms;

use super::*;
use crate::testing::Fixture;

fn digest(number: u64) -> Digest {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    digest
}

fn note(seen_at_ms: u64) -> Note {
    Note { seen_at_ms, unless_seen_after_ms: seen_at_ms - 500, expires_at_ms: seen_at_ms + 10_000 }
}

/// Sessions of these numbers, live for an hour and last seen at 1,000 ms.
fn fixture(numbers: std::ops::Range<u64>) -> Fixture {
    let fixture = Fixture::new();
    let user_id = fixture.store.add_user("ada");
    let ends_at_ms = unix_ms(clock::wall()) + 3_600_000;
    for number in numbers {
        let new = NewSession {
            session_id: number,
            token_digest: digest(number),
            user_id,
            epoch: 0,
            created_at_ms: 1_000,
            expires_at_ms: ends_at_ms,
            ends_at_ms,
            client_address: None,
            user_agent: None,
        };
        fixture.store.insert_session(&new, patient()).unwrap();
    }
    fixture.store.take_calls();
    fixture
}

fn seen(fixture: &Fixture, number: u64) -> u64 {
    fixture.store.session(&digest(number), 0, patient()).unwrap().unwrap().last_seen_at_ms
}

#[test]
fn the_oldest_goes_when_too_many_wait() {
    let notes = Notes::with_capacity(3);
    notes.add(&[(digest(1), note(1_000)), (digest(2), note(1_000))]);
    notes.add(&[(digest(1), note(2_000)), (digest(3), note(1_000)), (digest(4), note(1_000))]);
    assert_eq!((notes.pending(), notes.dropped()), (3, 1));
    let pending = notes.of(&[1, 2, 3, 4].map(digest));
    let waits: Vec<bool> = (0..5).map(|place| pending.note(place).is_some()).collect();
    assert_eq!(waits, [false, true, true, true, false]);
    assert!(!pending.is_refused);
    // As many as are being written at most; they are not the ones that go.
    let batch = notes.take(0);
    assert_eq!(
        batch.notes.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(),
        [2, 3, 4].map(digest)
    );
    drop(batch);
    notes.add(&[(digest(5), note(1_000))]);
    let pending = notes.of(&[2, 5].map(digest));
    assert_eq!((pending.note(0), pending.note(1)), (None, Some(&note(1_000))));
}

#[test]
fn of_two_notes_of_a_session_the_later_holds() {
    let notes = Notes::new();
    for (seen, expected) in [(2_000, 2_000), (3_000, 3_000), (2_500, 3_000)] {
        notes.add(&[(digest(1), note(seen))]);
        assert_eq!(notes.of(&[digest(1)]).note(0), Some(&note(expected)));
    }
    assert_eq!(notes.pending(), 1);
    // Also while it is being written: then it waits again.
    let batch = notes.take(0);
    notes.add(&[(digest(1), note(4_000))]);
    batch.written(1);
    assert_eq!((notes.pending(), notes.written()), (1, 1));
    let batch = notes.take(0);
    assert_eq!(batch.notes, [(digest(1), note(4_000))]);
    batch.written(1);
    assert_eq!((notes.pending(), notes.written()), (0, 2));
    assert!(notes.take(0).notes.is_empty());
}

#[test]
fn what_is_refused_waits_in_its_order_and_what_has_expired_goes() {
    let notes = Notes::new();
    let all = [1, 2, 3].map(|number| (digest(number), note(number * 1_000)));
    notes.add(&all);
    notes.take(0).refused();
    assert_eq!((notes.pending(), notes.failed()), (3, 3));
    assert!(notes.of(&[digest(1)]).is_refused);
    let batch = notes.take(11_000);
    assert_eq!(batch.notes, all[1..]);
    assert_eq!((notes.pending(), notes.dropped()), (2, 1));
    batch.written(1);
    assert_eq!((notes.written(), notes.superseded(), notes.pending()), (1, 1, 0));
    notes.add(&all);
    assert!(!notes.of(&[digest(1)]).is_refused, "the store has taken some since");
}

#[test]
fn one_that_the_store_never_takes_does_not_cost_the_others() {
    let fixture = fixture(1..4);
    let notes = Notes::new();
    // No column holds it.
    let bad = Note { seen_at_ms: u64::MAX, unless_seen_after_ms: 0, expires_at_ms: u64::MAX };
    notes.add(&[(digest(1), note(2_000)), (digest(2), bad), (digest(3), note(2_000))]);
    notes.write_all(&*fixture.store, 0).unwrap();
    assert_eq!((notes.pending(), notes.written(), notes.dropped()), (0, 2, 1));
    assert_eq!([1, 2, 3].map(|number| seen(&fixture, number)), [2_000, 1_000, 2_000]);
}

/// Waits until what is true.
fn until(what: &str, is: impl Fn() -> bool) {
    let give_up = patient();
    while !is() {
        assert!(clock::now() < give_up, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn notes_are_written_once_the_store_takes_them() {
    let fixture = fixture(1..200);
    let now_ms = unix_ms(clock::wall());
    let notes = Arc::new(Notes::new());
    let store = Arc::clone(&fixture.store) as Arc<dyn Store>;
    let writer = NoteWriter::start(store, Arc::clone(&notes), Arc::clone(&fixture.time)).unwrap();
    notes.add(&[(digest(1), note(now_ms))]);
    until("the first is written", || notes.written() == 1);

    for fault in [Fault::ReadOnly, Fault::Panic] {
        fixture.store.set_fault(Some(fault));
        let before = notes.written();
        let more: Vec<_> = (2..200).map(|number| (digest(number), note(now_ms))).collect();
        notes.add(&more);
        fixture.store.take_calls();
        until("it is tried", || !fixture.store.take_calls().is_empty());
        until("it is tried again", || !fixture.store.take_calls().is_empty());
        assert_eq!((notes.pending(), notes.written()), (198, before));
        fixture.store.set_fault(None);
        until("all are written", || notes.pending() == 0);
        fixture.store.execute("UPDATE session SET last_seen_at_ms = created_at_ms");
    }
    assert_eq!((notes.written(), notes.dropped()), (1 + 2 * 198, 0));
    writer.stop(patient());
}

#[test]
fn stopping_writes_what_waits() {
    let fixture = fixture(1..300);
    let now_ms = unix_ms(clock::wall());
    let all: Vec<_> = (1..300).map(|number| (digest(number), note(now_ms))).collect();
    let start = || {
        let notes = Arc::new(Notes::new());
        notes.add(&all);
        let store = Arc::clone(&fixture.store) as Arc<dyn Store>;
        (NoteWriter::start(store, Arc::clone(&notes), Arc::clone(&fixture.time)).unwrap(), notes)
    };
    let (writer, notes) = start();
    writer.stop(patient());
    assert_eq!((notes.pending(), notes.written()), (0, 299));
    assert!((1..300).all(|number| seen(&fixture, number) == now_ms));
    // A store that refuses them is asked once more, and not waited for.
    fixture.store.set_fault(Some(Fault::ReadOnly));
    let (writer, notes) = start();
    writer.stop(patient());
    assert_eq!(notes.pending(), 299);
    // And nothing that stands still is.
    fixture.store.set_fault(Some(Fault::Late));
    let (writer, notes) = start();
    writer.stop(clock::now());
    assert!(notes.pending() > 0);
    fixture.store.set_fault(None);
}
