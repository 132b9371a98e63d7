//! What every measured system does alike, so that only the sessions differ.
//!
//! A **system** is one framework with one way of keeping sessions, or with none. It has these routes, all `GET`:
//!
//! | route | does | answers |
//! |---|---|---|
//! | `/untouched` | nothing with the session | `ok` |
//! | `/read` | reads the text under [`READ_KEY`] | its length |
//! | `/change` | adds one to the number under [`COUNT_KEY`], 0 where there is none | the number |
//! | `/rotate` | gives the session a new id | `ok` |
//! | `/fill/{shape}` | sets all pairs of [`Shape::pairs`] | `ok` |
//!
//! One without sessions answers `ok` to each. The program of a framework has a subcommand for each way of measuring:
//!
//! ```sh
//! PROGRAM list                        # the names of its systems, one a line
//! PROGRAM in-process SYSTEM MILLIS    # time and allocations: lines of JSON, one Figure each
//! PROGRAM instructions SYSTEM         # under callgrind, which dumps before each call of `mark`: what each is of
//! PROGRAM serve SYSTEM THREADS REDIS  # prints http://127.0.0.1:PORT and serves until its input ends
//! ```

mod allocations;
mod app;
mod check;
mod command;
mod figure;
mod jar;
mod measure;
mod processor;
mod scenario;
mod shape;

pub use self::{
    allocations::{Allocated, allocated_by},
    app::App,
    check::{Readable, check},
    command::{Command, announce, until_input_ends},
    figure::Figure,
    jar::Jar,
    measure::{begin_counting, count_instructions, end_counting, measure_in_process, median},
    processor::processor_time,
    scenario::{SCENARIOS, Scenario, Visit},
    shape::{COUNT_KEY, READ_KEY, Shape},
};
