//! The machine's rules as tables: what is asked or happens on one line, what follows from it on the next. Nothing here
//! needs a store, a child or a clock.

mod arbitrary;
mod asks;
mod child;
mod deaths;
mod interrupts;
mod kills;
mod laws;
mod life;
mod own;
mod park;
mod quiet;
mod script;
mod stops;
mod store;
mod told;
mod turns;
mod watched;
