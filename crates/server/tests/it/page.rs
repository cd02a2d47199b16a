//! Parts of the manual that tests write: run them with `UPDATE_EXPECT=1`.

use std::fs;

/// What stands between the marks of `name` in the guide for operators has to be `text`.
pub(crate) fn has(name: &str, text: &str) {
    of("operations.md", name, text);
}

/// The same in any page.
pub(crate) fn of(page: &str, name: &str, text: &str) {
    let path = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(&path).expect("it is part of the repository");
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = page.split_once(&start).expect("the page has the mark");
    let (shown, after) = rest.split_once(&end).expect("the page has the end of it");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let new = format!("{before}{start}{text}{end}{after}");
        fs::write(path, new).expect("the page can be written");
        return;
    }
    assert_eq!(shown, text, "run this test with UPDATE_EXPECT=1 and read the difference");
}
