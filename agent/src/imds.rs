//! The instance metadata service that pods see, answered as EC2 answers.
//!
//! A connection is accepted ([`server`]), attested, and gives one request, in which everything is said once
//! ([`head`]). That is made canonical and sorted ([`route()`]), its token is checked ([`token`]), what the pod may have is looked up in memory
//! ([`service`]), and the answer is put together by a pure function ([`answer()`]).
//!
//! Whatever is not understood, and whatever a pod is not meant to see, gets the page that EC2 shows for
//! what does not exist. Nothing here calls STS, and the real metadata service is asked by [`upstream`](crate::upstream)
//! alone.

mod answer;
mod breakage;
mod document;
pub mod head;
mod instance;
mod limit;
mod metrics;
mod outcome;
mod path;
mod response;
mod route;
pub mod server;
pub mod service;
pub mod token;

pub use answer::{Standing, answer};
pub use instance::{Instance, Known, Made};
pub use metrics::Metrics;
pub use outcome::Outcome;
pub use response::{Answer, Status};
pub use route::{Kind, Resource, Route, Verb, route};
pub use server::Server;
pub use service::{Service, Supply};
