//! Router, platform and probe of the fake world.

use cutover_engine::{
    Error, ErrorKind,
    config::Gate,
    ports::{
        Call, Capabilities, Compared, Fence, Observed, Platform, Probe, Router, Rules, Sampled, Trouble,
        Visited,
    },
};
use cutover_rollout::{Act, Change, Health, Millis, Reading, Seen, Traffic, judge::Arm};
use cutover_routing::ReleaseId;

use super::{
    controller::Controller,
    log::What,
    world::{Runs, Sabotage},
};

impl Controller {
    async fn reads(&self) {
        self.alive().await;
        self.world.time.sleep(5).await;
        self.alive().await;
        self.world.note(self.id, What::Read);
    }

    async fn sees(&self, act: &Act) -> Seen {
        self.reads().await;
        let mut inner = self.world.lock();
        let generation = matches!(act, Act::Route(_)).then_some(inner.table.generation);
        if inner.settings.sabotage == Some(Sabotage::NotLooking) {
            return Seen::InPlace { generation };
        }
        if let Some((_, left)) = inner.stale.iter_mut().find(|(old, left)| old == act && *left > 0) {
            *left -= 1;
            return Seen::Absent;
        }
        if inner.in_place(act) { Seen::InPlace { generation } } else { Seen::Absent }
    }

    async fn does(&self, act: Act, fence: Fence) -> Result<(), Trouble> {
        self.send(&act, fence).await.map(|_| ())
    }
}

impl Router for Controller {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shares: true,
            pins: true,
            audiences: true,
            least_share: 0,
            settles: Millis::secs(1),
            fenced: self.world.lock().settings.fenced,
        }
    }

    async fn observe(&self) -> Result<Observed, Error> {
        self.reads().await;
        let now = self.world.time.now();
        let inner = self.world.lock();
        if inner.blind_until > now {
            return Err(Error::new(ErrorKind::Unavailable, "CUT0607", "the edges do not answer"));
        }
        Ok(Observed { table: (*inner.table).clone(), converged: inner.converged() })
    }

    fn plan(&self, change: &Change) -> Vec<Call> {
        vec![Call {
            does: format!("{change:?}"),
            reverse: "the change before it".to_owned(),
            meanwhile: "some edges are behind".to_owned(),
        }]
    }

    async fn apply(&self, change: &Change, fence: Fence) -> Result<u64, Trouble> {
        let generation = self.send(&Act::Route(change.clone()), fence).await?;
        generation.ok_or_else(|| Trouble::Unknown("no generation".to_owned()))
    }

    async fn verify(&self, change: &Change) -> Seen {
        self.sees(&Act::Route(change.clone())).await
    }
}

impl Platform for Controller {
    async fn stand_up(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.does(Act::Prepare { release: *release }, fence).await
    }

    async fn observe(&self, release: &ReleaseId) -> Health {
        self.reads().await;
        let inner = self.world.lock();
        if inner.ill.contains(release) {
            return Health::Unhealthy("told so".to_owned());
        }
        match inner.releases.get(release) {
            Some(Runs::Up) => Health::Healthy,
            _ => Health::Unhealthy("it does not run".to_owned()),
        }
    }

    async fn drain_evidence(&self, release: &ReleaseId) -> Option<Traffic> {
        self.reads().await;
        let now = self.world.time.now();
        let inner = self.world.lock();
        (inner.blind_until <= now).then(|| inner.traffic(release, now))
    }

    async fn stand_by(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.does(Act::Standby { release: *release }, fence).await
    }

    async fn park(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.does(Act::Park { release: *release }, fence).await
    }

    async fn tear_down(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.does(Act::Retire { release: *release }, fence).await
    }

    async fn verify(&self, act: &Act) -> Seen {
        self.sees(act).await
    }
}

impl Probe for Controller {
    async fn watch(&self, compared: Option<&Compared>) {
        self.reads().await;
        let now = self.world.time.now();
        let mut inner = self.world.lock();
        match compared {
            None => inner.counting = None,
            Some(compared) if inner.counting.as_ref().is_some_and(|(of, _)| of == compared) => {}
            Some(compared) => inner.counting = Some((compared.clone(), now)),
        }
    }

    async fn sample(&self) -> Option<Sampled> {
        self.reads().await;
        let now = self.world.time.now();
        let mut inner = self.world.lock();
        let (compared, from) = inner.counting.clone()?;
        inner.counting = Some((compared.clone(), now));
        let (rate, failing) = inner.visitors.clone();
        let share = u64::from(inner.share(&compared.green));
        let all = rate * now.saturating_sub(from) / 1_000;
        let mut visits = Vec::new();
        for visitor in 0..all {
            let drawn = inner.rng.next_u64();
            let (arm, release) = if drawn % 10_000 < share {
                (Arm::Green, Some(compared.green))
            } else {
                (Arm::Blue, compared.blue)
            };
            let errors = release.and_then(|release| failing.get(&release)).copied().unwrap_or(0);
            let failed = u32::from((drawn >> 32) % 1_000 < errors);
            visits.push(Visited { arm, visitor: from + visitor, requests: 3, failed, slow: 0 });
        }
        Some(Sampled { from, to: now, complete: true, visits, synthetic: false })
    }

    async fn measure(&self, gate: &Gate, compared: &Compared) -> Reading {
        self.reads().await;
        let verdict = self.world.lock().verdict(&gate.name, &compared.green);
        Reading { gate: gate.name.clone(), verdict, why: "told so".to_owned(), age: 0 }
    }

    async fn rules(&self, _green: &ReleaseId) -> Option<Rules> {
        self.reads().await;
        let gates = self.world.lock().rules.clone();
        Some(Rules { gates, slow_over: Millis::secs(1), synthetic: false })
    }
}
