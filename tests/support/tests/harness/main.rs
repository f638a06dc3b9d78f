//! The harness itself: if a test below fails, what other tests say means nothing.

#[cfg(test)]
mod attempts;
#[cfg(test)]
mod cleanup;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod places;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod server;
