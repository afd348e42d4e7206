//! How a driver comes to its end: told to stop, or because another controller has taken over.

use cutover_rollout::Event;
use tokio::sync::oneshot;

use super::{
    driver::{Driver, Running},
    effects::Answer,
};
use crate::ports::{Lease as _, Ports};

impl<P: Ports> Driver<P> {
    /// Another controller is in charge: nothing is begun any more. What is under way carries an old epoch.
    pub(super) fn depose(&mut self, why: String) {
        self.cut(|_| true);
        self.trouble(Some(format!("another controller has taken over: {why}")));
        self.show.send_modify(|shown| shown.deposed = Some(why.clone()));
        self.deposed = Some(why);
        self.tell();
    }

    fn cut(&mut self, which: impl Fn(&Running) -> bool) {
        if let Some(look) = self.looking.take() {
            look.abort();
        }
        self.running.retain(|_, running| {
            if which(running) {
                running.task.abort();
            }
            !which(running)
        });
    }

    /// Ends; a routing write that is under way is let end, so that its outcome is known.
    pub(super) async fn stop(mut self, reply: Option<oneshot::Sender<()>>) {
        self.cut(|running| !running.route);
        while !self.running.is_empty() {
            let Some(answer) = self.answers.1.recv().await else { break };
            if let Answer::Event(Event::Outcome { id, .. }) = &answer
                && self.running.contains_key(id)
            {
                self.answered(answer).await;
                // What follows from it is the next controller's.
                self.cut(|running| !running.route);
            }
        }
        // Who comes next waits until it has run out, then.
        let _ = self.ports.lease().release(&self.grant).await;
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }
}
