//! The operations page.

use crate::kit::{Kit, OTHER};

// x:cimnix_operator, x:cimnix_other
const BASIC: &str = "Authorization: Basic eDpjaW1uaXhfb3BlcmF0b3I=";
const BASIC_OTHER: &str = "Authorization: Basic eDpjaW1uaXhfb3RoZXI=";

#[test]
fn it_shows_the_tenants_of_a_token_and_no_others() {
    let kit = Kit::new();
    kit.flake("/secret/fleet");
    let page = kit.ask_as_nobody("GET", "/", &[BASIC], "");
    assert_eq!(page.status, 200);
    let text = page.text();
    for wanted in
        ["<h2>acme</h2>", "FlakeCreated", "Read models", "Breakers", "Refusals", "ready", "otto"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("beta") && !text.contains("<script"), "{text}");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let other = kit.ask_as_nobody("GET", "/", &[BASIC_OTHER], "").text();
    assert!(other.contains("<h2>beta</h2>") && !other.contains("acme"), "{other}");
    assert!(!other.contains("FlakeCreated"), "{other}");
    let bearer = format!("Authorization: Bearer {OTHER}");
    assert_eq!(kit.ask_as_nobody("GET", "/", &[&bearer], "").status, 200);
}

#[test]
fn an_event_has_a_page() {
    let kit = Kit::new();
    let body = r#"{"path":"/fleet","description":"<script>alert(1)</script>"}"#;
    let made = kit.command("CreateFlake", &[], body);
    let id = made.json()["events"][0]["event_id"].as_str().expect("an id").to_owned();
    let path = format!("/operations/acme/events/{id}");
    let home = kit.ask_as_nobody("GET", "/", &[BASIC], "").text();
    assert!(home.contains(&path), "{home}");
    let text = kit.ask_as_nobody("GET", &path, &[BASIC], "").text();
    assert!(text.contains("&lt;script&gt;alert(1)") && !text.contains("<script"), "{text}");
    assert!(text.contains("All events of the conversation"));
    let other = kit.ask_as_nobody("GET", &path, &[BASIC_OTHER], "");
    assert_eq!(other.problem(), (403, "forbidden".to_owned()));
    let style = kit.ask_as_nobody("GET", "/operations/style.css", &[BASIC], "");
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
}

#[test]
fn a_browser_is_asked_for_a_token() {
    let kit = Kit::new();
    let nobody = kit.ask_as_nobody("GET", "/", &[], "");
    assert_eq!(nobody.problem().0, 401);
    assert!(nobody.header("www-authenticate").is_some_and(|it| it.starts_with("Basic ")));
    // What a browser remembers for the page is worth nothing elsewhere.
    let sent = kit.ask_as_nobody("GET", "/v1/acme/flakes", &[BASIC], "");
    assert_eq!(sent.problem().0, 401);
    let cross = ["Content-Type: application/json", BASIC];
    let command = kit.ask_as_nobody("POST", "/v1/acme/commands/CreateFlake", &cross, "{}");
    assert_eq!(command.problem().0, 401);
    assert_eq!(kit.ask_as_nobody("POST", "/", &[BASIC], "").problem().0, 405);
}
