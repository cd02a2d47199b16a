//! A collector for trying things out: takes spans by OTLP over gRPC and prints them, one JSON object
//! a line. Its address is the first line.
//!
//! ```sh
//! cargo run -p cim-nix-telemetry --example collector
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to look at, not to keep")]
#![allow(clippy::disallowed_methods, reason = "it waits for spans")]

#[path = "../tests/it/receiver.rs"]
#[expect(dead_code, reason = "tests ask more of it")]
mod receiver;

use std::time::Duration;

fn main() {
    let receiver = receiver::Receiver::start();
    println!("{}", receiver.url());
    let mut n_shown = 0;
    loop {
        for span in receiver.so_far().into_iter().skip(n_shown) {
            n_shown += 1;
            let receiver::Received { service, name, trace, id, parent, told } = span;
            let told: Vec<&str> = told.lines().collect();
            let span = serde_json::json!({
                "service": service, "name": name, "trace": trace, "id": id, "parent": parent,
                "told": told,
            });
            println!("{span}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
