//! The page at `/`: the clients, without their secrets.

use std::fmt::Write;

use super::state::StoredClient;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<title>Provident emulator</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #f6f7f9; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 }
p.note { background: #fff3cd; border: 1px solid #e6d18a; border-radius: 6px; padding: .5rem .8rem }
table { width: 100%; border-collapse: collapse; background: #fff; border: 1px solid #dde1e6 }
th, td { text-align: left; vertical-align: top; padding: .5rem .8rem; border-bottom: 1px solid #e8ebef }
th { font-weight: 600; background: #eef0f3 }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere }
.active { color: #18703c } .inactive { color: #a12622 }
</style>
<h1>Provident emulator</h1>
<p class="note">This is <strong>not the vendor</strong>. It is a stand-in for tests and trials; its clients give access to nothing.</p>
"#;

/// The whole page; every value that a caller chose is escaped.
pub(super) fn render(clients: &[StoredClient]) -> String {
    let mut page = String::from(HEAD);
    if clients.is_empty() {
        page.push_str("<p>No clients yet.</p>\n");
        return page;
    }
    page.push_str("<table>\n<tr><th>Name<th>Client ID<th>State<th>Scopes<th>Created\n");
    for client in clients {
        let state = if client.is_active {
            "active"
        } else {
            "inactive"
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            r#"<tr><td>{}<td><code>{}</code><td class="{state}">{state}<td>{}<td>{}"#,
            escape(&client.name),
            escape(&client.client_id),
            escape(&client.allowed_scopes.join(" ")),
            client.created_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        );
    }
    page.push_str("</table>\n");
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
