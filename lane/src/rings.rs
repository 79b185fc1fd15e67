//! Rings of nodes that lie in one table: what waits for its turn, in order, with a way out from anywhere.

/// A table of nodes, each on one ring at most. Nothing is allocated but when the table grows.
pub(super) struct Nodes<T> {
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
}

struct Node<T> {
    value: Option<T>,
    before: u32,
    after: u32,
}

/// A ring of nodes: the first, or none. Invariant: following `after` from the first goes through all of its
/// nodes and comes back, and `before` is the way back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ring(Option<u32>);

impl<T> Nodes<T> {
    /// A table with room for `capacity` nodes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { nodes: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity) }
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node { value: None, before: 0, after: 0 });
            u32::try_from(self.nodes.len() - 1).expect("a lane has fewer jobs than that")
        });
        self.nodes[id as usize].value = Some(value);
        id
    }

    /// Takes out a node that is on no ring.
    pub(super) fn remove(&mut self, id: u32) -> T {
        self.free.push(id);
        self.nodes[id as usize].value.take().expect("it is there until it is removed")
    }

    pub(super) fn get(&self, id: u32) -> &T {
        self.nodes[id as usize].value.as_ref().expect("it is there until it is removed")
    }

    pub(super) fn get_mut(&mut self, id: u32) -> &mut T {
        self.nodes[id as usize].value.as_mut().expect("it is there until it is removed")
    }

    /// Puts a node at the end of a ring.
    pub(super) fn push_back(&mut self, ring: &mut Ring, id: u32) {
        let Some(first) = ring.0 else {
            self.nodes[id as usize].before = id;
            self.nodes[id as usize].after = id;
            *ring = Ring(Some(id));
            return;
        };
        let last = self.nodes[first as usize].before;
        self.nodes[id as usize].before = last;
        self.nodes[id as usize].after = first;
        self.nodes[last as usize].after = id;
        self.nodes[first as usize].before = id;
    }

    /// Takes a node off its ring.
    pub(super) fn unlink(&mut self, ring: &mut Ring, id: u32) {
        let Node { before, after, .. } = self.nodes[id as usize];
        self.nodes[before as usize].after = after;
        self.nodes[after as usize].before = before;
        if ring.0 == Some(id) {
            *ring = Ring((after != id).then_some(after));
        }
    }

    /// Puts the first of a ring at its end.
    pub(super) fn rotate(&self, ring: &mut Ring) {
        *ring = Ring(ring.0.map(|first| self.nodes[first as usize].after));
    }

    /// The last of a ring.
    pub(super) fn last(&self, ring: Ring) -> Option<u32> {
        ring.0.map(|first| self.nodes[first as usize].before)
    }

    /// All of a ring, in order.
    pub(super) fn iter(&self, ring: Ring) -> impl Iterator<Item = u32> {
        let mut next = ring.0;
        std::iter::from_fn(move || {
            let id = next?;
            let after = self.nodes[id as usize].after;
            next = (Some(after) != ring.0).then_some(after);
            Some(id)
        })
    }
}

impl Ring {
    pub(super) fn first(self) -> Option<u32> {
        self.0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_its_order() {
        let mut nodes = Nodes::with_capacity(4);
        let mut ring = Ring::default();
        let check = |nodes: &Nodes<char>, ring: Ring, expected: &str| {
            let found: String = nodes.iter(ring).map(|id| *nodes.get(id)).collect();
            assert_eq!(found, expected);
            assert_eq!(nodes.last(ring).map(|id| *nodes.get(id)), expected.chars().last());
            assert_eq!(ring.is_empty(), expected.is_empty());
        };
        check(&nodes, ring, "");
        nodes.rotate(&mut ring);
        let [a, b, c] = ['a', 'b', 'c'].map(|value| nodes.insert(value));
        [a, b, c].into_iter().for_each(|id| nodes.push_back(&mut ring, id));
        check(&nodes, ring, "abc");
        nodes.rotate(&mut ring);
        check(&nodes, ring, "bca");
        nodes.unlink(&mut ring, b);
        check(&nodes, ring, "ca");
        nodes.unlink(&mut ring, a);
        check(&nodes, ring, "c");
        nodes.push_back(&mut ring, b);
        check(&nodes, ring, "cb");
        nodes.unlink(&mut ring, b);
        nodes.unlink(&mut ring, c);
        check(&nodes, ring, "");
        assert_eq!((nodes.remove(a), nodes.insert('d')), ('a', a), "places are used again");
    }
}
