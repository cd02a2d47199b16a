//! Lock files of flakes, ours beside Nix's: scenes with flakes of all kinds, in which both lock the
//! same inputs, one after the other in the same folder, and each reads what the other wrote.
//!
//! A scene is a text. Lines that start with `-- ` are steps, and the lines below `-- file PATH` are
//! what the file gets. In all of them `[dir]` is the scene's folder, `[server]` a server on this
//! machine for the files in `dist`, and `[rev FOLDER]` the commit that a repository is at.
//!
//! | step | what happens |
//! | --- | --- |
//! | `file PATH` | writes a file |
//! | `remove PATH` | removes a file or a folder |
//! | `commit FOLDER` | makes a folder a repository, if need be, and commits all that is in it |
//! | `git FOLDER ARGUMENTS` | runs Git |
//! | `tar FOLDER FILE` | packs a folder into `dist/FILE`, compressed as its name says |
//! | `link FILE URL` | lets the server say where `FILE` will be found for ever |
//! | `name NAME JSON` | lets a name stand for a flake in the registry |
//! | `at FOLDER` | the flake that is locked from now on; the first one is `root` |
//! | `lock ARGUMENTS`, `update ARGUMENTS` | both lock it, and the results are compared |
//! | `eval ATTRIBUTE` | both evaluate an attribute of it with the lock file as it is |
//! | `old-nix reads` | an older Nix has to read the lock file as it is |

mod generate;
mod scene;
mod server;

pub use generate::scene as random_scene;
pub use scene::{Played, Players, play};
