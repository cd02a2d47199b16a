//! deadnix: what its flags mean here.

use super::{Call, Plan};

/// Rules for what deadnix looks for, whatever its flags.
const ALWAYS: [&str; 3] = ["DEAD001", "DEAD004", "DEAD006"];

/// What a call asks for.
#[derive(Default)]
struct Wanted {
    no_lambda_arg: bool,
    no_lambda_pattern_names: bool,
    exclude: Vec<String>,
    remarks: Vec<String>,
}

/// Adds what a call of deadnix means.
pub(super) fn plan(call: &Call, plan: &mut Plan) {
    plan.places.push(call.place.clone());
    let wanted = read(&call.flags);
    for code in ALWAYS {
        plan.turn_on(code, "deadnix".to_owned());
    }
    match wanted.no_lambda_arg {
        true => plan.turn_off("DEAD005", "deadnix --no-lambda-arg".to_owned()),
        false => plan.turn_on("DEAD005", "deadnix without --no-lambda-arg".to_owned()),
    }
    for code in ["DEAD002", "DEAD003"] {
        match wanted.no_lambda_pattern_names {
            true => plan.turn_off(code, "deadnix --no-lambda-pattern-names".to_owned()),
            false => plan.turn_on(code, "deadnix without --no-lambda-pattern-names".to_owned()),
        }
    }
    for path in wanted.exclude {
        plan.exclude.push((anchored(&path), "deadnix --exclude".to_owned()));
    }
    for remark in wanted.remarks {
        plan.remark(format!("deadnix {remark}"));
    }
}

fn read(flags: &[String]) -> Wanted {
    let mut wanted = Wanted::default();
    let mut is_excluding = false;
    for word in flags {
        if let Some(long) = word.strip_prefix("--") {
            is_excluding = long == "exclude" || long.starts_with("exclude=");
            if let Some(path) = long.strip_prefix("exclude=") {
                wanted.exclude.push(path.to_owned());
            }
            flag(long, &mut wanted);
        } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
            is_excluding = false;
            for letter in short.chars() {
                flag(name_of(letter), &mut wanted);
            }
        } else if is_excluding {
            wanted.exclude.push(word.clone());
        }
    }
    wanted
}

fn name_of(letter: char) -> &'static str {
    match letter {
        'l' => "no-lambda-arg",
        'L' => "no-lambda-pattern-names",
        '_' => "no-underscore",
        'W' => "warn-used-underscore",
        'q' => "quiet",
        'e' => "edit",
        'h' => "hidden",
        'f' => "fail",
        'o' => "output-format",
        _ => "?",
    }
}

fn flag(name: &str, wanted: &mut Wanted) {
    let remark = match name.split('=').next().unwrap_or(name) {
        "no-lambda-arg" => return wanted.no_lambda_arg = true,
        "no-lambda-pattern-names" => return wanted.no_lambda_pattern_names = true,
        "exclude" | "fail" => return,
        "no-underscore" => {
            "--no-underscore: names that begin with `_` are reported here as others are"
        }
        "warn-used-underscore" => "--warn-used-underscore: no rule here finds that",
        "edit" => "--edit: use `cim-nix check --fix`",
        "hidden" => "--hidden: use `cim-nix check --hidden`",
        "quiet" => "--quiet: use `cim-nix check --quiet`",
        "output-format" => "--output-format: use `cim-nix check --format`",
        other => return wanted.remarks.push(format!("--{other}: this flag is not known here")),
    };
    wanted.remarks.push(remark.to_owned());
}

/// deadnix takes paths, not patterns: one without a slash is still meant from the top.
fn anchored(path: &str) -> String {
    let path = path.trim_start_matches("./");
    format!("/{}", path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(flags: &str) -> Wanted {
        read(&flags.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_are_read_long_and_short() {
        for flags in ["-lL", "-l -L", "--no-lambda-arg --no-lambda-pattern-names"] {
            let wanted = wanted(flags);
            assert!(wanted.no_lambda_arg && wanted.no_lambda_pattern_names, "{flags}");
            assert!(wanted.remarks.is_empty());
        }
        assert_eq!(wanted("-_ --wat").remarks.len(), 2);
    }

    #[test]
    fn excluded_paths_end_at_the_next_flag() {
        let wanted = wanted("--exclude ./a b/c --edit d --exclude=e");
        assert_eq!(wanted.exclude, ["./a", "b/c", "e"]);
        assert_eq!(anchored("./a"), "/a");
    }
}
