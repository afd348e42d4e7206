//! What the shop remembers of a visitor: basket, name, orders.
//!
//! Kept in one file per session below a directory that all releases share, in a form that all of them read, so that a
//! basket survives a switch and a rollback. Without a directory, in memory. Two releases that change one session in
//! the same instant may lose one of the changes: this is an example, not a database.

use std::{
    collections::HashMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::{fs, sync::Mutex};

/// The most sessions held in memory; a newcomer replaces some other.
const IN_MEMORY: usize = 10_000;
/// The most of one product in a basket.
pub(crate) const MOST_OF_ONE: u32 = 99;
/// The most orders remembered per session.
pub(crate) const MOST_ORDERS: usize = 50;

/// One visitor's things.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    /// Who logged in.
    pub(crate) name: Option<String>,
    /// The basket.
    pub(crate) lines: Vec<Line>,
    /// What was ordered, oldest first.
    pub(crate) orders: Vec<Order>,
}

/// So many of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) product: String,
    pub(crate) quantity: u32,
}

/// A basket that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    /// Number of things.
    pub(crate) count: u32,
    /// What they cost together, in cents.
    pub(crate) cents: u64,
}

impl Session {
    /// Sets how many of a product are in the basket; 0 takes it out.
    pub(crate) fn set_line(&mut self, product: &str, quantity: u32) {
        let quantity = quantity.min(MOST_OF_ONE);
        self.lines.retain(|line| line.product != product || quantity > 0);
        if let Some(line) = self.lines.iter_mut().find(|line| line.product == product) {
            line.quantity = quantity;
        } else if quantity > 0 {
            self.lines.push(Line { product: product.to_owned(), quantity });
        }
    }
}

/// Name of a session: 32 hex digits, so that it is hard to guess and safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(String);

impl SessionId {
    /// A new one.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        random_hex(16).map(Self)
    }

    /// Reads what a browser sent.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The text in the cookie.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// So many random bytes in hex.
pub(crate) fn random_hex(bytes: usize) -> Result<String, getrandom::Error> {
    let mut raw = vec![0; bytes];
    getrandom::fill(&mut raw)?;
    Ok(raw.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    place: Place,
    /// One change at a time in this process.
    writing: Mutex<()>,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Memory(Mutex<HashMap<SessionId, Session>>),
}

impl Sessions {
    /// Sessions in a directory, which is made if missing.
    pub(crate) fn in_directory(dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { place: Place::Directory(dir.to_owned()), writing: Mutex::new(()) })
    }

    /// Sessions that end with the process.
    pub(crate) fn in_memory() -> Self {
        Self { place: Place::Memory(Mutex::new(HashMap::new())), writing: Mutex::new(()) }
    }

    /// A session, if there is one by that name.
    pub(crate) async fn load(&self, id: &SessionId) -> std::io::Result<Option<Session>> {
        match &self.place {
            Place::Memory(sessions) => Ok(sessions.lock().await.get(id).cloned()),
            Place::Directory(dir) => match fs::read(file(dir, id)).await {
                // A file that another version left unreadable is an empty basket, not an error page.
                Ok(text) => Ok(Some(serde_json::from_slice(&text).unwrap_or_default())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Changes a session, and gives it a new name where it had none yet or `rename` asks for one. Returns its name,
    /// the session after, and what the change returned; a change that fails leaves everything as it was.
    pub(crate) async fn change<T, E: From<std::io::Error>>(
        &self,
        known: Option<SessionId>,
        rename: bool,
        change: impl FnOnce(&mut Session) -> Result<T, E>,
    ) -> Result<(SessionId, Session, T), E> {
        let _one_at_a_time = self.writing.lock().await;
        let found = match &known {
            Some(id) => self.load(id).await?.map(|session| (id.clone(), session)),
            None => None,
        };
        // A name the shop never gave is not taken over from the browser.
        let (old, mut session) =
            found.map_or((None, Session::default()), |(id, session)| (Some(id), session));
        let result = change(&mut session)?;
        let id = match &old {
            Some(id) if !rename => id.clone(),
            _ => SessionId::random().map_err(std::io::Error::other)?,
        };
        self.save(&id, &session).await?;
        if let Some(old) = old.filter(|old| *old != id) {
            self.forget(&old).await?;
        }
        Ok((id, session, result))
    }

    async fn save(&self, id: &SessionId, session: &Session) -> std::io::Result<()> {
        match &self.place {
            Place::Memory(sessions) => {
                let mut sessions = sessions.lock().await;
                if sessions.len() >= IN_MEMORY
                    && !sessions.contains_key(id)
                    && let Some(some) = sessions.keys().next().cloned()
                {
                    sessions.remove(&some);
                }
                sessions.insert(id.clone(), session.clone());
                Ok(())
            }
            Place::Directory(dir) => {
                let text = serde_json::to_vec(session)?;
                // Another release may read at this moment: the file is replaced whole.
                let whole = dir.join(format!("{}.{}", id.as_str(), std::process::id()));
                fs::write(&whole, text).await?;
                fs::rename(&whole, file(dir, id)).await
            }
        }
    }

    async fn forget(&self, id: &SessionId) -> std::io::Result<()> {
        match &self.place {
            Place::Memory(sessions) => {
                sessions.lock().await.remove(id);
                Ok(())
            }
            Place::Directory(dir) => match fs::remove_file(file(dir, id)).await {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

fn file(dir: &Path, id: &SessionId) -> PathBuf {
    dir.join(format!("{}.json", id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn add(sessions: &Sessions, id: Option<SessionId>, rename: bool) -> (SessionId, Session) {
        let changed = sessions.change(id, rename, |session| {
            session.set_line("mug", session.lines.first().map_or(1, |line| line.quantity + 1));
            Ok::<_, std::io::Error>(())
        });
        let (id, session, ()) = changed.await.unwrap();
        (id, session)
    }

    #[tokio::test]
    async fn a_session_is_kept_in_memory_and_by_another_process_in_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        for place in [Sessions::in_memory(), Sessions::in_directory(dir.path()).unwrap()] {
            let (id, _) = add(&place, None, false).await;
            let (again, session) = add(&place, Some(id.clone()), false).await;
            assert_eq!((again, session.lines[0].quantity), (id, 2));
        }
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let id = SessionId::parse(names[0].to_str().unwrap().strip_suffix(".json").unwrap()).unwrap();
        let other = Sessions::in_directory(dir.path()).unwrap();
        assert_eq!(other.load(&id).await.unwrap().unwrap().lines[0].quantity, 2);
    }

    #[tokio::test]
    async fn a_renamed_session_leaves_nothing_under_its_old_name() {
        let dir = tempfile::tempdir().unwrap();
        for place in [Sessions::in_memory(), Sessions::in_directory(dir.path()).unwrap()] {
            let (old, _) = add(&place, None, false).await;
            let (new, session) = add(&place, Some(old.clone()), true).await;
            assert_ne!(old, new);
            assert_eq!(session.lines[0].quantity, 2);
            assert_eq!(place.load(&old).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_name_the_shop_never_gave_is_not_taken_over() {
        let sessions = Sessions::in_memory();
        let invented = SessionId::parse(&"a".repeat(32)).unwrap();
        assert_ne!(add(&sessions, Some(invented.clone()), false).await.0, invented);
    }

    #[tokio::test]
    async fn a_damaged_file_is_an_empty_basket_and_a_refused_change_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = Sessions::in_directory(dir.path()).unwrap();
        let (id, before) = add(&sessions, None, false).await;
        let refused = sessions
            .change(Some(id.clone()), true, |session| {
                session.lines.clear();
                Err::<(), _>(std::io::Error::other("no"))
            })
            .await;
        assert!(refused.is_err());
        assert_eq!(sessions.load(&id).await.unwrap(), Some(before));
        std::fs::write(file(dir.path(), &id), "{\"lines\": 7").unwrap();
        assert_eq!(sessions.load(&id).await.unwrap(), Some(Session::default()));
    }

    #[test]
    fn only_plain_names_are_read() {
        for hostile in
            ["", "../../etc/passwd", &"A".repeat(32), &"a".repeat(31), &"a".repeat(33), &"ü".repeat(16)]
        {
            assert_eq!(SessionId::parse(hostile), None, "{hostile}");
        }
        assert!(SessionId::parse(SessionId::random().unwrap().as_str()).is_some());
    }

    #[test]
    fn a_basket_counts_and_forgets() {
        let mut session = Session::default();
        session.set_line("mug", 0);
        assert!(session.lines.is_empty());
        session.set_line("mug", 5_000);
        assert_eq!(session.lines[0].quantity, MOST_OF_ONE);
        session.set_line("mug", 0);
        assert!(session.lines.is_empty());
    }
}
