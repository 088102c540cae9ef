//! Log lines: which ones are written, and how.

use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

use super::TelemetryError;

/// The crates of this program. Only they log.
const OWN: [&str; 2] = ["provident_operator", "provident_core"];

/// The form of a log line.
#[derive(Clone, Copy, Debug)]
pub enum Lines {
    /// For people.
    Text {
        /// With colours, for a terminal.
        coloured: bool,
    },
    /// One object per line, with unique keys.
    Json,
}

/// The layer that writes what passes `filter` to `writer`.
///
/// Libraries write nothing, whatever `filter` says: kube logs the body of a response that it cannot decode, with the
/// credentials in it, and others log what they send.
pub fn lines<S, W>(form: Lines, filter: EnvFilter, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    let filter = filter_fn(is_own).and(filter);
    match form {
        Lines::Text { coloured } => layer.with_ansi(coloured).with_filter(filter).boxed(),
        Lines::Json => layer
            .json()
            .with_current_span(false)
            .with_filter(filter)
            .boxed(),
    }
}

/// Whether it comes from this program and not from a library.
pub(super) fn is_own(metadata: &Metadata<'_>) -> bool {
    is_own_module(metadata.target())
}

fn is_own_module(target: &str) -> bool {
    OWN.iter().any(|own| {
        target
            .strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

/// Reads the value of `--log-filter`.
///
/// # Errors
/// It is no filter, or one of its words is neither a level nor a module of this program.
pub fn parse_filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let failed = |reason: String| TelemetryError::Filter {
        filter: text.to_owned(),
        reason,
    };
    if text.trim().is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    // A word alone names a module, so a misspelt level would silence the log.
    let words = text.split(',').map(str::trim);
    let mut alone = words.filter(|word| !word.contains(['=', '[']));
    if let Some(word) =
        alone.find(|word| word.parse::<LevelFilter>().is_err() && !is_own_module(word))
    {
        return Err(failed(format!(
            "{word:?} is neither a level nor a module of this program"
        )));
    }
    EnvFilter::try_new(text).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{error, error_span, info, trace, warn};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: Lines, filter: &str, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let filter = parse_filter(filter).unwrap();
        let layer = lines(form, filter, move || writer.clone());
        tracing::subscriber::with_default(registry().with(layer), log);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_library_writes_nothing_whatever_the_filter_says() {
        for filter in [
            "trace",
            "info",
            "warn,kube_client=trace,kube_client::client=warn",
            "hyper=trace,h2=trace,reqwest=trace,rustls=trace,tower=trace",
            "kube_runtime[reconcile]=trace",
            "provident_operator=info,log=trace",
        ] {
            for form in [Lines::Text { coloured: false }, Lines::Json] {
                let text = logged(form, filter, || {
                    warn!(target: "kube_client::client", "s3cr3t");
                    error!(target: "hyper", body = "s3cr3t");
                    trace!(target: "log", "s3cr3t");
                    error!(target: "provident_operatorx", "s3cr3t");
                    let span = error_span!(target: "kube_runtime::controller", "s3cr3t", object = "s3cr3t");
                    span.in_scope(|| error!(target: "provident_operator::vendor", "own"));
                });
                assert!(!text.contains("s3cr3t"), "{filter}: {text}");
            }
        }
    }

    #[test]
    fn the_filter_applies_to_the_modules_of_this_program() {
        let log = || {
            info!(target: "provident_operator::leader", "one");
            info!(target: "provident_operator::vendor", "two");
        };
        let text = |filter| logged(Lines::Text { coloured: false }, filter, log);
        for (filter, one, two) in [
            ("info", true, true),
            ("error", false, false),
            ("warn,provident_operator::leader=info", true, false),
            ("provident_operator::vendor", false, true),
            ("off", false, false),
        ] {
            let text = text(filter);
            assert_eq!(
                (text.contains("one"), text.contains("two")),
                (one, two),
                "{filter}: {text}"
            );
        }
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        for coloured in [true, false] {
            let text = logged(Lines::Text { coloured }, "info", || {
                info!(target: "provident_operator", "one");
            });
            assert_eq!(text.contains('\u{1b}'), coloured, "{text:?}");
        }
    }

    #[test]
    fn a_filter_that_is_none_is_refused_by_the_name_of_its_flag() {
        for filter in [
            "",
            " ",
            "inof",
            "info,verbose",
            "provident_operator=loud",
            "info debug",
            "provident_operator=info=debug",
        ] {
            let refused = parse_filter(filter).err().map(|error| error.to_string());
            let refused = refused.unwrap_or_else(|| panic!("{filter:?} is taken"));
            assert!(refused.starts_with("--log-filter"), "{refused}");
        }
        for filter in [
            "info",
            "DEBUG",
            "info,hyper=off",
            "provident_operator=debug",
        ] {
            assert!(parse_filter(filter).is_ok(), "{filter}");
        }
    }
}
