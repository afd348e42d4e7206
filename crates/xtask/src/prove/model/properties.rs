//! What must hold in every state of the model, and what must be reachable.

use cutover_rollout::Situation;
use cutover_routing::ReleaseState;
use stateright::Property;

use super::world::{Action, BLUE, Budget, GREEN, Model, World, Wrong};

pub(super) const REACHED: &str = "a release that visitors reach runs";
pub(super) const OLDER: &str = "no older write moves visitors after a newer one";
const PLAN: &str = "visitors move along the plan or back";
const RECORDED: &str = "what the journal says in the end is so, and stays so";
const WRITER: &str = "one controller at a time writes the journal";
const BACK: &str = "until a release is torn down there is a way back to it";
const SOUND: &str = "the machine reads back what it has written";
const STUCK: &str = "nothing comes to rest before its end";

impl stateright::Model for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.first()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.possible(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.next(world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(REACHED, Model::reached_run),
            Property::always(OLDER, |_: &Model, world: &World| world.told.wrong != Some(Wrong::Older)),
            Property::always(PLAN, |_: &Model, world: &World| world.told.wrong != Some(Wrong::OffPlan)),
            Property::always(RECORDED, Model::as_recorded),
            Property::always(WRITER, |_: &Model, world: &World| world.told.wrong != Some(Wrong::TwoWriters)),
            Property::always(BACK, |_: &Model, world: &World| world.told.wrong != Some(Wrong::NoWayBack)),
            Property::always(SOUND, |_: &Model, world: &World| world.told.wrong != Some(Wrong::Defect)),
            Property::always(STUCK, Model::goes_on),
            Property::sometimes("it is done", |model: &Model, world: &World| model.done(world)),
        ];
        let Budget { crashes, leases, losses, rollbacks, ills, .. } = self.budget;
        if crashes > 0 || leases > 0 {
            let other = |model: &Model, world: &World| model.done(world) && world.writer > 1;
            properties.push(Property::sometimes("another controller brings it to its end", other));
        }
        if crashes > 0 || leases > 0 || losses > 0 {
            let refused = |_: &Model, world: &World| world.told.refused;
            properties.push(Property::sometimes("a late write is refused", refused));
        }
        if rollbacks > 0 || ills > 0 {
            properties.push(Property::sometimes("it is rolled back", Model::back));
        }
        if rollbacks > 0 && self.parks() {
            let again = |model: &Model, world: &World| model.back(world) && world.told.was_done;
            properties.push(Property::sometimes("it is rolled back after it was done", again));
        }
        properties
    }
}

impl Model {
    fn done(&self, world: &World) -> bool {
        matches!(self.core.situation(world.journal), Situation::Done | Situation::Standby)
    }

    fn back(&self, world: &World) -> bool {
        self.core.situation(world.journal) == Situation::RolledBack
    }

    fn reached_run(&self, world: &World) -> bool {
        [BLUE, GREEN].into_iter().all(|which| {
            let served = self.core.with_table(world.edge, |table| table.servable(&self.releases[which]));
            !served || (world.running[which] && !world.gone[which])
        })
    }

    fn as_recorded(&self, world: &World) -> bool {
        let table = |which: usize| {
            self.core.with_table(world.store, |table| {
                (table.default == Some(self.releases[which]), table.state(&self.releases[which]))
            })
        };
        let closed =
            |which: usize| matches!(table(which).1, Some(ReleaseState::Closed | ReleaseState::Staged));
        match self.core.situation(world.journal) {
            Situation::Done | Situation::Standby => table(GREEN).0 && closed(BLUE),
            Situation::RolledBack => table(BLUE).0 && closed(GREEN) && self.on_green(world.store) == 0,
            _ => true,
        }
    }

    fn goes_on(&self, world: &World) -> bool {
        let over = self.core.with_state(world.journal, |state| state.ended.is_some());
        let mut actions = Vec::new();
        if !over {
            self.possible(world, &mut actions);
        }
        over || actions.iter().any(|action| self.next(world, *action).is_some())
    }
}
