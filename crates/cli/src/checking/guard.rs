//! Panics while a file is checked: kept as text instead of printed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// What the panic on this thread says and where, while [`guarded`] runs on it.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic in it is an error that says what and where.
///
/// Whatever `work` was changing may be left half done: the caller throws it away.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install_hook();
    PANIC.set(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let text = PANIC.take().unwrap_or_default();
    outcome.map_err(|_| text)
}

fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let default = take_hook();
        set_hook(Box::new(move |info| {
            let is_kept = PANIC.with_borrow_mut(|slot| {
                let Some(slot) = slot else { return false };
                let payload = info.payload_as_str().unwrap_or("a panic without a message");
                let place = info.location().map(|at| format!(" ({at})")).unwrap_or_default();
                *slot = format!("{payload}{place}");
                true
            });
            if !is_kept {
                default(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_what_and_where() {
        let text = guarded(|| panic!("nobody expected {}", "this")).unwrap_err();
        assert!(text.starts_with("nobody expected this (") && text.contains("guard.rs"), "{text}");
        assert_eq!(guarded(|| 1), Ok(1));
    }
}
