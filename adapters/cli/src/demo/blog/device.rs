//! What a person calls a device.

/// Names a browser and its system by the user agent's name for itself.
///
/// These names hold many others' for the sake of old pages: the first that fits is the right one.
pub(super) fn name(user_agent: &str) -> String {
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if user_agent.is_empty() => "A device without a name".to_owned(),
        (None, None) => user_agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn browsers_and_systems_are_told_apart() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, expected) in [
            (format!("Mozilla/5.0 (X11; Linux x86_64) {webkit} Chrome/120.0 Safari/537.36"), "Chrome on Linux"),
            (format!("Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/120.0 Safari/537.36 Edg/120.0"), "Edge on Windows"),
            (
                format!("Mozilla/5.0 (Linux; Android 14) {webkit} Chrome/120.0 Mobile Safari/537.36"),
                "Chrome on Android",
            ),
            (format!("Mozilla/5.0 (iPhone; CPU like Mac OS X) {webkit} Version/17 Safari/604.1"), "Safari on iPhone"),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.1; rv:120.0) Gecko Firefox/120.0".to_owned(),
                "Firefox on macOS",
            ),
            ("curl/8.5.0".to_owned(), "curl"),
            ("my reader".to_owned(), "my reader"),
            (String::new(), "A device without a name"),
            ("x".repeat(200), &"x".repeat(60)),
        ] {
            assert_eq!(name(&agent), expected);
        }
    }
}
