//! What to run: data and the search for the program, as execvp(3) does it with the child's own PATH.
//!
//! The search runs in the parent before the clone, so that a program that does not exist is reported from
//! `spawn()` itself and costs no process.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, faccessat};

/// What execvp(3) searches where the child's environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Finds `NAME=value` in strings that end in NUL, one after the other; the first wins, as in getenv(3).
pub fn environment_value<'a>(env: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    env.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

/// The paths execvp(3) would try for `file`: itself if it has a slash, else one for each directory of PATH.
pub fn candidates(file: &[u8], env: &[u8]) -> Vec<PathBuf> {
    if file.contains(&b'/') {
        return vec![PathBuf::from(OsStr::from_bytes(file))];
    }
    environment_value(env, b"PATH")
        .unwrap_or(DEFAULT_PATH)
        .split(|&byte| byte == b':')
        // An empty entry means the working directory; joining with it gives the bare name.
        .map(|dir| Path::new(OsStr::from_bytes(dir)).join(OsStr::from_bytes(file)))
        .collect()
}

/// Whether this process may execute `path`. A directory passes: its exec fails with EACCES, as it should.
fn check_executable(path: &Path) -> Result<(), Errno> {
    faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)
}

/// Drops the candidates before the first that looks executable; the error of execvp(3) if there is none.
pub fn resolve(file: &[u8], env: &[u8], cwd: Option<&Path>) -> Result<Vec<CString>, Errno> {
    if let Some(cwd) = cwd {
        check_directory(cwd)?;
    }
    let paths = candidates(file, env);
    let (mut denied, mut last) = (false, Errno::ENOENT);
    for (index, path) in paths.iter().enumerate() {
        let checked = match cwd {
            Some(cwd) if path.is_relative() => check_executable(&cwd.join(path)),
            _ => check_executable(path),
        };
        match checked {
            Ok(()) => {
                return paths[index..]
                    .iter()
                    .map(|path| CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL))
                    .collect();
            }
            Err(errno) => last = errno,
        }
        match last {
            Errno::EACCES => denied = true,
            Errno::ENOENT | Errno::ESTALE | Errno::ENOTDIR | Errno::ENODEV | Errno::ETIMEDOUT => {}
            other => return Err(other),
        }
    }
    Err(if denied { Errno::EACCES } else { last })
}

/// The error chdir(2) would give.
fn check_directory(cwd: &Path) -> Result<(), Errno> {
    if stat(cwd)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
        return Err(Errno::ENOTDIR);
    }
    faccessat(nix::fcntl::AT_FDCWD, cwd, AccessFlags::X_OK, AtFlags::AT_EACCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_an_environment_wins() {
        assert_eq!(environment_value(b"A=1\0PATH=/x\0PATH=/y\0", b"PATH"), Some(&b"/x"[..]));
        assert_eq!(environment_value(b"PATHX=/x\0", b"PATH"), None);
        assert_eq!(environment_value(b"PATH=\0", b"PATH"), Some(&b""[..]));
    }

    #[test]
    fn a_name_is_searched_in_the_childs_path_and_an_empty_entry_is_the_working_directory() {
        let paths = candidates(b"ls", b"PATH=/a::/b\0");
        assert_eq!(paths, [PathBuf::from("/a/ls"), PathBuf::from("ls"), PathBuf::from("/b/ls")]);
        assert_eq!(candidates(b"./ls", b"PATH=/a\0"), [PathBuf::from("./ls")]);
        assert_eq!(candidates(b"ls", b""), [PathBuf::from("/bin/ls"), PathBuf::from("/usr/bin/ls")]);
    }

    #[test]
    fn resolve_reports_the_errno_of_execvp() {
        assert_eq!(resolve(b"no-such-program", b"PATH=/bin\0", None), Err(Errno::ENOENT));
        assert_eq!(resolve(b"/etc/passwd", b"", None), Err(Errno::EACCES));
        assert_eq!(resolve(b"sh", b"PATH=/bin\0", Some(Path::new("/no-such-directory"))), Err(Errno::ENOENT));
        assert_eq!(resolve(b"sh", b"PATH=/bin\0", Some(Path::new("/etc/passwd"))), Err(Errno::ENOTDIR));
        assert_eq!(resolve(b"sh", b"PATH=/bin\0", None).unwrap()[0].as_c_str(), c"/bin/sh");
    }

    #[test]
    fn a_relative_file_is_looked_up_after_the_change_of_directory() {
        assert!(resolve(b"./sh", b"", Some(Path::new("/bin"))).is_ok());
        assert_eq!(resolve(b"./sh", b"", Some(Path::new("/etc"))), Err(Errno::ENOENT));
    }
}
