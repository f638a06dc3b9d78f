//! Records as JSON, one object a line: time, level, message and fields, target.
//!
//! They look as tracing-subscriber's own flat form does, for half the price: to write the record of a request is the
//! dearest part of answering it.

use std::fmt::{self, Write as _};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// The target of records that come from the `log` crate. Their own is in a field.
const LOG: &str = "log";
const LOG_TARGET: &str = "log.target";
/// What all the fields begin with that such records have in addition.
const LOG_FIELDS: &str = "log.";

/// Writes records as JSON. Fields of spans must be JSON already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(metadata.level().as_str())?;
        writer.write_str("\"")?;
        let mut fields = Fields::new(writer.by_ref());
        event.record(&mut fields);
        let of_log = fields.end()?;
        if let Some(span) = context.lookup_current()
            && let Some(fields) = span.extensions().get::<FormattedFields<N>>()
        {
            write!(writer, ",\"{}\":{fields}", span.name())?;
        }
        let own = of_log.as_deref().filter(|_| metadata.target() == LOG);
        writer.write_str(",\"target\":\"")?;
        Escaped(writer.by_ref()).write_str(own.unwrap_or(metadata.target()))?;
        writer.write_str("\"}\n")
    }
}

/// Writes fields, each with a comma before it.
struct Fields<'a> {
    writer: Writer<'a>,
    /// What [`LOG_TARGET`] said.
    of_log: Option<String>,
    written: fmt::Result,
}

impl<'a> Fields<'a> {
    const fn new(writer: Writer<'a>) -> Self {
        Self {
            writer,
            of_log: None,
            written: Ok(()),
        }
    }

    fn end(self) -> Result<Option<String>, fmt::Error> {
        self.written.map(|()| self.of_log)
    }

    /// Writes a field whose value `write` writes.
    fn put(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'a>) -> fmt::Result) {
        if self.written.is_ok() && !field.name().starts_with(LOG_FIELDS) {
            self.written = self.name(field).and_then(|()| write(&mut self.writer));
        }
    }

    fn name(&mut self, field: &Field) -> fmt::Result {
        self.writer.write_str(",\"")?;
        self.writer.write_str(field.name())?;
        self.writer.write_str("\":")
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, |writer| {
            writer.write_char('"')?;
            Escaped(writer.by_ref()).write_fmt(format_args!("{value:?}"))?;
            writer.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == LOG_TARGET {
            self.of_log = Some(value.to_owned());
        }
        self.put(field, |writer| {
            writer.write_char('"')?;
            Escaped(writer.by_ref()).write_str(value)?;
            writer.write_char('"')
        });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |writer| {
            writer.write_str(if value { "true" } else { "false" })
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, |writer| {
            if value.is_finite() {
                write!(writer, "{value}")
            } else {
                writer.write_str("null")
            }
        });
    }
}

/// Writes text as it stands between quotes (RFC 8259, 7).
struct Escaped<'a>(Writer<'a>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
        let mut rest = text;
        while let Some(at) = rest.bytes().position(special) {
            let (plain, tail) = rest.split_at(at);
            let (one, tail) = tail.split_at(1);
            self.0.write_str(plain)?;
            match one {
                "\"" => self.0.write_str("\\\"")?,
                "\\" => self.0.write_str("\\\\")?,
                "\n" => self.0.write_str("\\n")?,
                _ => write!(self.0, "\\u{:04x}", one.as_bytes()[0])?,
            }
            rest = tail;
        }
        self.0.write_str(rest)
    }
}
