//! Who calls the API: whose data they read and write, and what they may do (AU-1).

use std::collections::BTreeSet;
use std::fmt;

use crate::envelope::MAX_TEXT_BYTES;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read the owner's records.
    Read,
    /// Write events of the owner.
    Write,
    /// Read everybody's data, run SQL, and whatever the other roles may.
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Its name in a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "data.read",
            Self::Write => "data.write",
            Self::Admin => "data.admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The roles of one caller. As text: their names, separated by spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// The roles in a text of names separated by white space. Other names say something to other services and are left out.
    pub fn of_text(text: &str) -> Self {
        Self::of_names(text.split_whitespace())
    }

    /// The roles with these names; others are left out.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let role = |name| Role::ALL.into_iter().find(|role| role.name() == name);
        Self(names.into_iter().filter_map(role).collect())
    }

    /// Whether these roles permit what needs `role`: they hold it, or `data.admin`, which implies the others.
    pub fn permit(&self, role: Role) -> bool {
        self.0.contains(&role) || self.0.contains(&Role::Admin)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, role) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{role}")?;
        }
        Ok(())
    }
}

/// Whose data a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// This owner's.
    Of(String),
    /// Everybody's.
    Everybody,
}

/// A request names an owner whose data is not the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another owner's data needs the role `{}`; without `owner` it is your own", Role::Admin)]
pub struct OtherOwner;

/// What a request names as its owner that is about everybody's data.
pub const EVERYBODY: &str = "*";

/// Somebody whose token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    owner: String,
    roles: Roles,
}

impl Caller {
    /// A caller with this owner's data and these roles; `None` when the owner is empty or longer than an envelope holds,
    /// [`MAX_TEXT_BYTES`].
    pub fn new(owner: impl Into<String>, roles: Roles) -> Option<Self> {
        let owner = owner.into();
        (1..=MAX_TEXT_BYTES).contains(&owner.len()).then_some(Self { owner, roles })
    }

    /// Whose data it is about.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What the caller may do.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Whose data a read is about that names this owner, [`EVERYBODY`] or none (AU-1). Who has the role `data.admin` and names none
    /// reads everybody's; anybody else reads their own.
    ///
    /// # Errors
    ///
    /// When it is not the caller's to read.
    pub fn reads(&self, named: Option<&str>) -> Result<Whose, OtherOwner> {
        match (self.roles.permit(Role::Admin), named) {
            (true, None | Some(EVERYBODY)) => Ok(Whose::Everybody),
            (true, Some(owner)) => Ok(Whose::Of(owner.to_owned())),
            (false, named) if named.is_none_or(|named| named == self.owner) => Ok(Whose::Of(self.owner.clone())),
            (false, _) => Err(OtherOwner),
        }
    }

    /// Whose data the events are that a write brings and that names this owner or none (AU-1): the caller's, but where one with the role
    /// `data.admin` names another.
    ///
    /// # Errors
    ///
    /// When it is not the caller's to write.
    pub fn writes<'a>(&'a self, named: Option<&'a str>) -> Result<&'a str, OtherOwner> {
        match named {
            None => Ok(&self.owner),
            Some(named) if named == self.owner || self.roles.permit(Role::Admin) => Ok(named),
            Some(_) => Err(OtherOwner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_from_text_and_written_as_text() {
        for (text, written) in [
            ("data.read", "data.read"),
            ("  data.write\tdata.read data.read ", "data.read data.write"),
            ("offline_access data.admin profile", "data.admin"),
            ("DATA.READ data.rea data.readx data.*", ""),
            ("", ""),
        ] {
            let roles = Roles::of_text(text);
            assert_eq!(roles.to_string(), written, "{text}");
            assert_eq!(roles.is_empty(), written.is_empty());
            assert_eq!(Roles::of_text(&roles.to_string()), roles);
        }
    }

    #[test]
    fn only_the_admin_role_implies_others() {
        for (held, permitted) in [
            ("data.read", vec![Role::Read]),
            ("data.write", vec![Role::Write]),
            ("data.admin", vec![Role::Read, Role::Write, Role::Admin]),
            ("data.read data.write", vec![Role::Read, Role::Write]),
            ("", vec![]),
        ] {
            let roles = Roles::of_text(held);
            let found: Vec<_> = Role::ALL.into_iter().filter(|role| roles.permit(*role)).collect();
            assert_eq!(found, permitted, "{held}");
        }
    }

    #[test]
    fn nobody_but_an_admin_reads_or_writes_another_owners_data() {
        let caller = |roles| Caller::new("ann", Roles::of_text(roles)).unwrap();
        let (plain, admin) = (caller("data.read data.write"), caller("data.admin"));
        let of = |owner: &str| Ok(Whose::Of(owner.to_owned()));
        for (named, by_plain, by_admin) in [
            (None, of("ann"), Ok(Whose::Everybody)),
            (Some("*"), Err(OtherOwner), Ok(Whose::Everybody)),
            (Some("ann"), of("ann"), of("ann")),
            (Some("bob"), Err(OtherOwner), of("bob")),
            (Some(""), Err(OtherOwner), of("")),
        ] {
            assert_eq!((plain.reads(named), admin.reads(named)), (by_plain, by_admin), "{named:?}");
        }
        for (named, by_plain, by_admin) in [
            (None, Ok("ann"), Ok("ann")),
            (Some("ann"), Ok("ann"), Ok("ann")),
            (Some("bob"), Err(OtherOwner), Ok("bob")),
        ] {
            assert_eq!((plain.writes(named), admin.writes(named)), (by_plain, by_admin), "{named:?}");
        }
    }

    #[test]
    fn an_owner_is_text_that_an_envelope_holds() {
        let owner = |bytes| Caller::new("x".repeat(bytes), Roles::default()).map(|caller| caller.owner().len());
        assert_eq!([owner(0), owner(1), owner(1024), owner(1025)], [None, Some(1), Some(1024), None]);
    }
}
