//! Logs on standard error, as text for people or as JSON, one event a line.

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// The flags of logging, to be flattened into a program's own.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// What is logged, for example `info` or `info,controller=debug` (tracing's filter directives).
    #[arg(long, env = "LOG_FILTER", default_value = "info")]
    pub log_filter: String,

    /// How an event is written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How a log event is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// One line for people, in colour on a terminal.
    Text,
    /// One JSON object a line, the event's fields at the top level.
    Json,
}

/// Sends every event of this process to standard error, panics among them.
///
/// # Errors
/// When the filter cannot be parsed, or when logging was set up before.
pub fn init(args: &LogArgs) -> anyhow::Result<()> {
    subscriber(args, io::stderr, io::stderr().is_terminal())?.try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// A panic is an event like any other, so that a reader of JSON logs sees it too.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(panic = panic.payload_as_str(), location, "panicked");
}

fn subscriber<W>(args: &LogArgs, writer: W, color: bool) -> anyhow::Result<Box<dyn Subscriber + Send + Sync>>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&args.log_filter)
        .with_context(|| format!("log filter {:?} cannot be parsed", args.log_filter))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(color);
    Ok(match args.log_format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        log: LogArgs,
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(flags: &[&str], log: impl FnOnce()) -> String {
        let args = Program::parse_from([&["program"], flags].concat()).log;
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(&args, move || writer.clone(), false).unwrap(), log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn text_has_message_and_fields_and_obeys_the_filter() {
        let lines = logged(&["--log-filter", "warn"], || {
            tracing::warn!(node = "a", "not ready");
            tracing::info!("all is well");
        });
        assert!(lines.contains("not ready") && lines.contains("node=\"a\""), "{lines}");
        assert_eq!(lines.lines().count(), 1, "{lines}");
    }

    #[test]
    fn json_has_the_fields_at_the_top_level() {
        let lines = logged(&["--log-format", "json"], || tracing::info!(node = "a", "cordoned"));
        assert!(lines.starts_with('{') && lines.ends_with("}\n"), "{lines}");
        assert!(lines.contains(r#""message":"cordoned","node":"a""#), "{lines}");
    }

    #[test]
    fn a_filter_that_cannot_be_parsed_is_refused() {
        let args = Program::parse_from(["program", "--log-filter", "info,=loud="]).log;
        let refused = subscriber(&args, io::stderr, false).err().unwrap();
        assert_eq!(refused.to_string(), r#"log filter "info,=loud=" cannot be parsed"#);
    }
}
