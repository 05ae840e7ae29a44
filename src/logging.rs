//! The process's one logger: which records are written, and in which form; both can be changed while it runs. What is
//! logged is said where it happens.

mod format;

use crate::config::{self, LogFormat};
use env_filter::Filter;
use log::{LevelFilter, Metadata, Record, SetLoggerError};
use std::{
    io::{self, Write},
    sync::Arc,
};
use tokio::sync::watch;

/// The way to the logger of the process. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Logger(Arc<State>);

#[derive(Debug)]
struct State {
    filter: watch::Sender<Arc<Filter>>,
    format: watch::Sender<LogFormat>,
    /// Stderr goes to the journal.
    is_journal: bool,
}

impl Logger {
    /// Makes it the logger of the process, which has one for its whole life.
    pub fn install(log: &config::Log) -> Result<Self, SetLoggerError> {
        let state = Arc::new(State {
            filter: watch::Sender::new(Arc::new(env_filter::Builder::new().build())),
            format: watch::Sender::new(log.format),
            is_journal: format::is_journal(),
        });
        let of_writer = state.clone();
        let writer = env_logger::Builder::new()
            // What passes is decided before it comes here.
            .filter_level(LevelFilter::Trace)
            .format(move |line, record| of_writer.write(line, record))
            .build();
        log::set_boxed_logger(Box::new(Gate { state: state.clone(), writer }))?;
        let logger = Self(state);
        logger.configure(log);
        Ok(logger)
    }

    /// Writes as the configuration says from now on.
    pub fn configure(&self, log: &config::Log) {
        self.0.format.send_replace(log.format);
        // It was read with the configuration, so that it is one.
        let _ = self.set_filter(&log.filter);
    }

    /// Other levels from now on.
    ///
    /// # Errors
    /// What is wrong with the filter; then nothing is changed.
    pub fn set_filter(&self, text: &str) -> Result<(), String> {
        let filter = config::filter(text)?;
        let most = filter.filter();
        self.0.filter.send_replace(Arc::new(filter));
        log::set_max_level(most);
        Ok(())
    }
}

impl State {
    fn write(&self, line: &mut env_logger::fmt::Formatter, record: &Record<'_>) -> io::Result<()> {
        match *self.format.borrow() {
            LogFormat::Json => format::json(line, jiff::Timestamp::now(), record),
            LogFormat::Journald => format::journald(line, record),
            LogFormat::Auto if self.is_journal => format::journald(line, record),
            LogFormat::Auto | LogFormat::Text => {
                let style = line.default_level_style(record.level());
                let level = format!("{style}{:<5}{style:#}", record.level());
                format::text(line, jiff::Timestamp::now(), &level, record)
            }
        }
    }
}

/// Lets through what the filter of the moment does.
struct Gate {
    state: Arc<State>,
    writer: env_logger::Logger,
}

impl log::Log for Gate {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.state.filter.borrow().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let filter = self.state.filter.borrow().clone();
        if filter.matches(record) {
            self.writer.log(record);
        }
    }

    fn flush(&self) {
        // Stderr has no buffer; where it is gone there is nobody to tell.
        let _ = io::stderr().flush();
    }
}
