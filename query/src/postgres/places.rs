//! How many connections there are, of everybody and of each owner: nobody takes all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::refusal::Refusal;

/// Places for connections.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// How many each owner has; `None`: whoever is not asked for a token.
    taken: Mutex<HashMap<Option<String>, usize>>,
}

impl Places {
    /// So many places, of which an owner may have half.
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// A place for a connection of this owner.
    ///
    /// # Errors
    ///
    /// When all are taken, or the owner has as many as one may.
    pub(super) fn take(self: &Arc<Self>, owner: Option<&str>) -> Result<Place, Refusal> {
        let mut taken = self.taken();
        let of_owner = owner.map_or(self.most, |_| self.most.div_ceil(2));
        let owner = owner.map(str::to_owned);
        let full = |most: usize, whose: &str| {
            let message =
                format!("there are {most} connections{whose}, as many as may be; close one, or try again later");
            Err(Refusal::connection("53300", message))
        };
        if taken.values().sum::<usize>() >= self.most {
            return full(self.most, "");
        }
        let own = taken.entry(owner.clone()).or_default();
        if *own >= of_owner {
            return full(of_owner, " of yours");
        }
        *own += 1;
        Ok(Place { owner, of: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Option<String>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, which it gives back at its end.
#[derive(Debug)]
pub(super) struct Place {
    owner: Option<String>,
    of: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        if let Some(own) = taken.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_owner_has_half_of_the_places_at_most() {
        let places = Arc::new(Places::new(3));
        let ann = [places.take(Some("ann")).unwrap(), places.take(Some("ann")).unwrap()];
        assert!(
            matches!(places.take(Some("ann")), Err(Refusal::Connection(info)) if info.message.contains("2 connections of yours"))
        );
        let bob = places.take(Some("bob")).unwrap();
        assert!(
            matches!(places.take(Some("bob")), Err(Refusal::Connection(info)) if info.message.contains("3 connections,"))
        );
        drop(ann);
        places.take(Some("ann")).unwrap();
        drop(bob);
        assert!(places.taken().is_empty());
        let nobody: Vec<_> = (0..3).map(|_| places.take(None).unwrap()).collect();
        assert!(places.take(None).is_err());
        drop(nobody);
    }
}
