//! The machine's users and groups, as `/etc/passwd` and `/etc/group` have
//! them. Accounts of a directory service are not in there; such users are
//! given by number.

/// Users and groups by name and number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// Reads the machine's files. One that is not there holds no accounts.
    pub fn of_machine() -> Self {
        let read = |path: &str| {
            let bytes = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self::parse(&read("/etc/passwd"), &read("/etc/group"))
    }

    /// Reads the two files' text; lines of another form are passed over.
    pub fn parse(passwd: &str, group: &str) -> Self {
        Self {
            users: passwd.lines().filter_map(user).collect(),
            groups: group.lines().filter_map(self::group).collect(),
        }
    }

    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.iter().find(|user| user.name == name).map(|user| user.uid)
    }

    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|group| group.name == name).map(|group| group.gid)
    }

    pub fn user_names(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|user| user.name.as_str())
    }

    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// Every group of a user: its own, and those that list it.
    pub fn groups_of(&self, uid: u32) -> Vec<u32> {
        let mut gids = Vec::new();
        for user in self.users.iter().filter(|user| user.uid == uid) {
            gids.push(user.gid);
            let listed = self.groups.iter().filter(|group| group.members.contains(&user.name));
            gids.extend(listed.map(|group| group.gid));
        }
        gids.sort_unstable();
        gids.dedup();
        gids
    }

    /// Every user of a group.
    pub fn members_of(&self, gid: u32) -> Vec<u32> {
        let is_listed = |user: &User| {
            self.groups.iter().any(|group| group.gid == gid && group.members.contains(&user.name))
        };
        let mut uids: Vec<u32> = self
            .users
            .iter()
            .filter(|user| user.gid == gid || is_listed(user))
            .map(|user| user.uid)
            .collect();
        uids.sort_unstable();
        uids.dedup();
        uids
    }
}

/// `name:password:uid:gid:...`
fn user(line: &str) -> Option<User> {
    let mut parts = line.split(':');
    let name = parts.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let uid = parts.nth(1)?.parse().ok()?;
    let gid = parts.next()?.parse().ok()?;
    Some(User { name: name.to_owned(), uid, gid })
}

/// `name:password:gid:member,member`
fn group(line: &str) -> Option<Group> {
    let mut parts = line.split(':');
    let name = parts.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let gid = parts.nth(1)?.parse().ok()?;
    let members = parts.next().unwrap_or_default();
    let members = members.split(',').map(str::trim).filter(|member| !member.is_empty());
    Some(Group { name: name.to_owned(), gid, members: members.map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment:x:1:1\nthrall:x:900:900::/:/bin/false\n\
                          bot:x:1001:1001::/home/bot:/bin/sh\nbroken line\nana:x:1002:1002::/home/ana:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nthrall:x:900:\nbot:x:1001:\nthrall-agent:x:950:bot,thrall\nthrall-op:x:951: ana\n";

    #[test]
    fn names_and_memberships_are_found_both_ways() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        assert_eq!((accounts.uid("bot"), accounts.gid("thrall-op")), (Some(1001), Some(951)));
        assert_eq!((accounts.uid("nobody"), accounts.gid("bots")), (None, None));
        assert_eq!(accounts.groups_of(1001), [950, 1001]);
        assert_eq!(accounts.groups_of(77), [0u32; 0]);
        assert_eq!(accounts.members_of(950), [900, 1001]);
        assert_eq!(accounts.members_of(951), [1002]);
        assert_eq!(accounts.members_of(1001), [1001], "its own group counts as well");
        assert_eq!(accounts.user_names().collect::<Vec<_>>(), ["root", "thrall", "bot", "ana"]);
    }
}
