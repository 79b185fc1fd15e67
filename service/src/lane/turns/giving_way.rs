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

    /// The same for a newcomer that may have `most` units before it and has more: counted is what is in work, too,
    /// and none goes whose going does not bring the newcomer in time.
    pub(super) fn greediest_but(&mut self, ask: &Ask, most: u64, in_work: &InWork) -> Option<u32> {
        let flow_id = self.greediest(ask, most, in_work)?;
        let units = self.jobs.get(self.newest(flow_id)).waiting.units;
        self.uncount(flow_id, units);
        let is_in_time = self.units_before(ask, most) <= most;
        self.count(flow_id, units);
        is_in_time.then_some(flow_id)
    }

    fn greediest(&self, ask: &Ask, most: u64, in_work: &InWork) -> Option<u32> {
        let (flow, units) = (&ask.flow, ask.units.get());
        let (class, other) = (flow.class as usize, 1 - flow.class as usize);
        let [ours, theirs] =
            [class, other].map(|class| self.classes[class].units + in_work.of_class(class));
        if theirs > ours + u64::from(units) {
            return self.greediest_flow(self.greediest_parent(other, u32::MAX, in_work)?, in_work);
        }
        let own = self.parent_ids.get(&(class, flow.parent)).copied();
        let own_units = own.map_or(0, |id| self.parents.get(id).units)
            + in_work.of_parent((class, flow.parent));
        // Who has more waiting than this has its last turn after the newcomer's.
        let turns = self.units_before_in_parent(ask, most) + u64::from(units);
        let turns = u32::try_from(turns).unwrap_or(u32::MAX);
        let greediest = self.greediest_parent(class, turns, in_work);
        if let Some(id) = greediest.filter(|&id| self.parent_units(id, in_work) > own_units + units)
        {
            return self.greediest_flow(id, in_work);
        }
        let own_flow = self.flow_ids.get(&key(flow)).copied();
        let own_units =
            own_flow.map_or(0, |id| self.flows.get(id).units) + in_work.of_flow(key(flow));
        let greediest = self.greediest_flow(own?, in_work)?;
        (self.flow_units(greediest, in_work) > own_units + units).then_some(greediest)
    }

    /// Of those that have no more than `most` units waiting.
    fn greediest_parent(&self, class: usize, most: u32, in_work: &InWork) -> Option<u32> {
        let parents = self.parents.iter(self.classes[class].parents);
        parents
            .filter(|&id| self.parents.get(id).units <= most)
            .max_by_key(|&id| self.parent_units(id, in_work))
    }

    fn greediest_flow(&self, parent_id: u32, in_work: &InWork) -> Option<u32> {
        let flows = self.parents.get(parent_id).flows;
        self.flows.iter(flows).max_by_key(|&id| self.flow_units(id, in_work))
    }

    fn parent_units(&self, id: u32, in_work: &InWork) -> u32 {
        let parent = self.parents.get(id);
        parent.units + in_work.of_parent(parent.key)
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
