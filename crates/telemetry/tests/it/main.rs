//! Tests of the whole: a process that logs, counts and traces, and the collector it tells.

mod process;
mod receiver;
mod traces;
