//! This machine, as the application sees it: files, clock, and the worker that evaluates and builds.
