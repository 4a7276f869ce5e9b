//! Socket files in `run/`. A socket gets its mode and its group in a folder
//! that nobody else can enter, and is then put in its place: there is no
//! moment at which it is open wider than it will be.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use rustix::fs::Gid;
use tokio::net::UnixListener;

use super::Door;
use crate::home::Home;
use crate::roles::Roles;

/// Binds a door's socket. One left behind by a service that died is replaced:
/// the home's lock, which is held, says that nobody uses it. The second part
/// of the answer is what could not be done and is worth saying.
///
/// # Errors
/// When the socket cannot be made.
pub fn bind(
    home: &Home,
    door: &Door,
    roles: &Roles,
) -> anyhow::Result<(UnixListener, Option<String>)> {
    let folder = home.binding();
    private_folder(&folder)?;
    let path = home.socket(&door.name());
    let unready = folder.join(path.file_name().unwrap_or_default());
    remove(&unready)?;
    let listener = UnixListener::bind(&unready)
        .with_context(|| format!("cannot listen on {}", unready.display()))?;
    let access = roles.socket_access(door.role);
    fs::set_permissions(&unready, Permissions::from_mode(access.mode))
        .with_context(|| format!("cannot set the mode of {}", unready.display()))?;
    let mut warning = None;
    if let Some(gid) = access.group
        && let Err(error) = rustix::fs::chown(&unready, None, Some(Gid::from_raw(gid)))
    {
        warning = Some(format!(
            "cannot give {} to group {gid} ({error}), its members cannot connect: put the user of the service into that group",
            path.display()
        ));
    }
    fs::rename(&unready, &path)
        .with_context(|| format!("cannot put {} in its place", path.display()))?;
    Ok((listener, warning))
}

fn private_folder(folder: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make {}", folder.display()));
        }
        _ => {}
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot set the mode of {}", folder.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_put_in_its_place_with_its_mode_and_group() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        fs::create_dir(folder.path().join("run")).unwrap();
        let gid = rustix::process::getegid().as_raw();
        let roles = Roles { agent_groups: vec![gid], ..Roles::default() };
        let (first, warning) = bind(&home, &Door::agent(), &roles).unwrap();
        assert_eq!(warning, None);
        let socket = fs::metadata(home.socket("agent")).unwrap();
        assert_eq!((socket.mode() & 0o777, socket.gid()), (0o660, gid));
        assert_eq!(fs::metadata(home.binding()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(home.binding()).unwrap().count(), 0);
        // What a service that died left behind is replaced.
        drop(first);
        let wide = Roles { agent_users: vec![77], ..Roles::default() };
        let (_second, _) = bind(&home, &Door::agent(), &wide).unwrap();
        let again = fs::metadata(home.socket("agent")).unwrap();
        assert_eq!(again.mode() & 0o777, 0o666);
        assert_ne!(socket.ino(), again.ino());
    }
}
