//! Slots for connections: an index names one in constant time, a generation tells it from the
//! connections that had the same slot before and after.

use crate::protocol::ConnectionId;

/// A slab with generations and a fixed capacity.
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    capacity: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    /// What one value takes, in bytes.
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// Room for `capacity` values. All of it is address space from the start, and memory as values come: a list
    /// that grew between the buffers of a crowd would keep the allocator from giving back what lies before it.
    pub(crate) fn new(capacity: usize) -> Self {
        assert!(u32::try_from(capacity).is_ok(), "slots are numbered with 32 bits");
        let (slots, free) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { slots, free, capacity }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    /// Stores the value that `make` returns for the name it will have. The caller has checked
    /// [`Slots::is_full`].
    pub(crate) fn insert(&mut self, make: impl FnOnce(ConnectionId) -> T) -> ConnectionId {
        assert!(!self.is_full(), "insert into full slots");
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, value: None });
            u32::try_from(self.slots.len() - 1).expect("bounded by the capacity")
        });
        let slot = &mut self.slots[index as usize];
        let id = ConnectionId { slot: index, generation: slot.generation };
        slot.value = Some(make(id));
        id
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation == id.generation { slot.value.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<T> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        // After 2^32 connections in one slot a generation comes back; a completion would have to
        // be that late to be mistaken.
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(value)
    }

    /// The names of all values, for the rare walk over everything.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        let ids = self.slots.iter().enumerate();
        ids.filter(|(_, slot)| slot.value.is_some()).map(|(index, slot)| slot.id(index)).collect()
    }

    /// All values with their names, likewise.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| {
            let id = slot.id(index);
            slot.value.as_mut().map(|value| (id, value))
        })
    }
}

impl<T> Slot<T> {
    fn id(&self, index: usize) -> ConnectionId {
        let slot = u32::try_from(index).expect("bounded by the capacity");
        ConnectionId { slot, generation: self.generation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_name_does_not_reach_the_next_value_in_its_slot() {
        let mut slots = Slots::new(1);
        let first = slots.insert(|_| "first");
        assert!(slots.is_full());
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert(|_| "second");
        assert_eq!(second.slot, first.slot);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut "second"));
    }

    #[test]
    fn len_counts_what_is_there() {
        let mut slots = Slots::new(3);
        let ids: Vec<_> = (0..3).map(|n| slots.insert(|_| n)).collect();
        slots.remove(ids[1]);
        assert_eq!(slots.len(), 2);
        assert_eq!(slots.ids(), [ids[0], ids[2]]);
        assert!(slots.iter_mut().map(|(id, n)| (id, *n)).eq([(ids[0], 0), (ids[2], 2)]));
        slots.remove(ids[0]);
        slots.remove(ids[2]);
        assert!(slots.is_empty());
    }

    #[test]
    #[should_panic(expected = "insert into full slots")]
    fn inserting_beyond_the_capacity_is_a_bug() {
        Slots::new(0).insert(|_| ());
    }
}
