//! Commands in, files and events out.
