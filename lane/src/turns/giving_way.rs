//! Who has to go for a newcomer.

use super::{Ask, InWork, Turns, key};

impl<J> Turns<J> {
    /// The flow whose newest job makes room for a newcomer; none, if it is the newcomer's that has too many.
    ///
    /// Within a class, a parent gives a place only to one that has fewer even with the newcomer, and a flow
    /// likewise within a parent: else two of the same length would take the place from each other in turn. Walks
    /// over the parents of a class and the flows of one of them.
    pub(super) fn longest_but(&self, ask: &Ask) -> Option<u32> {
        let (flow, units) = (&ask.flow, ask.units.get());
        let (class, other) = (flow.class as usize, 1 - flow.class as usize);
        let [ours, theirs] = [class, other].map(|class| self.classes[class].units);
        if ours < theirs {
            return self.longest_flow(self.longest_parent(other)?);
        }
        let own = self.parent_ids.get(&(class, flow.parent)).copied();
        let own_units = own.map_or(0, |id| self.parents.get(id).units);
        let longest = self.longest_parent(class)?;
        if self.parents.get(longest).units > own_units + units {
            return self.longest_flow(longest);
        }
        let own_flow = self.flow_ids.get(&key(flow)).copied();
        let own_units = own_flow.map_or(0, |id| self.flows.get(id).units);
        let longest = self.longest_flow(own?)?;
        (self.flows.get(longest).units > own_units + units).then_some(longest)
    }

    /// The same for a newcomer that may have `most` units before it and has more. Counted is what a network has waiting
    /// and in work, in both classes: else one that is in both would seem to have little in each. None goes whose going
    /// does not bring the newcomer in time.
    pub(super) fn greediest_but(&mut self, ask: &Ask, most: u64, in_work: &InWork) -> Option<u32> {
        let candidates = self.greedier(ask, most, in_work);
        candidates.into_iter().flatten().find(|&flow_id| {
            let units = self.jobs.get(self.newest(flow_id)).waiting.units;
            self.uncount(flow_id, units);
            let is_in_time = self.units_before(ask, most) <= most;
            self.count(flow_id, units);
            is_in_time
        })
    }

    /// Flows that should rather go, the first of them first: of the other class, if it has more than half and the network
    /// has no less than the newcomer's will have; of a network that has more; of the newcomer's own network.
    fn greedier(&self, ask: &Ask, most: u64, in_work: &InWork) -> [Option<u32>; 4] {
        let (flow, units) = (&ask.flow, ask.units.get());
        let (class, other) = (flow.class as usize, 1 - flow.class as usize);
        let [ours, theirs] =
            [class, other].map(|class| self.classes[class].units + in_work.of_class(class));
        let own_units = self.network_units(flow.parent, in_work);
        let of_network = |parent_id: Option<u32>, least: u32| {
            let parent_id = parent_id?;
            let has = self.network_units(self.parents.get(parent_id).key.1, in_work);
            (has >= least).then(|| self.greediest_flow(parent_id, in_work))?
        };
        // Who has more waiting than this has its last turn after the newcomer's.
        let turns = self.units_before_in_parent(ask, most) + u64::from(units);
        let turns = u32::try_from(turns).unwrap_or(u32::MAX);
        let of_ours = self.greediest_parent(class, turns, in_work);
        let of_theirs = match theirs >= ours {
            true => self.greediest_parent(other, u32::MAX, in_work),
            false => None,
        };
        let own = self.parent_ids.get(&(class, flow.parent));
        let own_flow = self.flow_ids.get(&key(flow)).map_or(0, |&id| self.flows.get(id).units);
        let own_flow = own_flow + in_work.of_flow(key(flow));
        [
            of_network(of_theirs, own_units + units).filter(|_| theirs > ours + u64::from(units)),
            of_network(of_ours, own_units + units + 1),
            of_network(of_theirs, own_units + units + 1),
            own.and_then(|&id| self.greediest_flow(id, in_work))
                .filter(|&id| self.flow_units(id, in_work) > own_flow + units),
        ]
    }

    /// What a network has, waiting and in work, in both classes.
    fn network_units(&self, parent: u64, in_work: &InWork) -> u32 {
        let waiting = [0, 1].map(|class| {
            let id = self.parent_ids.get(&(class, parent));
            id.map_or(0, |&id| self.parents.get(id).units)
        });
        waiting.iter().sum::<u32>() + in_work.of_parent(parent)
    }

    /// Of those that have no more than `most` units waiting.
    fn greediest_parent(&self, class: usize, most: u32, in_work: &InWork) -> Option<u32> {
        let parents = self.parents.iter(self.classes[class].parents);
        parents
            .filter(|&id| self.parents.get(id).units <= most)
            .max_by_key(|&id| self.network_units(self.parents.get(id).key.1, in_work))
    }

    fn greediest_flow(&self, parent_id: u32, in_work: &InWork) -> Option<u32> {
        let flows = self.parents.get(parent_id).flows;
        self.flows.iter(flows).max_by_key(|&id| self.flow_units(id, in_work))
    }

    fn flow_units(&self, id: u32, in_work: &InWork) -> u32 {
        let flow = self.flows.get(id);
        flow.units + in_work.of_flow(flow.key)
    }

    /// Of several, the one whose turn is farthest away.
    fn longest_parent(&self, class: usize) -> Option<u32> {
        self.parents.iter(self.classes[class].parents).max_by_key(|&id| self.parents.get(id).units)
    }

    fn longest_flow(&self, parent_id: u32) -> Option<u32> {
        let flows = self.parents.get(parent_id).flows;
        self.flows.iter(flows).max_by_key(|&id| self.flows.get(id).units)
    }
}
