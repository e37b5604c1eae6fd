//! A query on its worker: compiled, run, its result written.

use super::codec;
use super::format::Format;
use crate::config::User;
use crate::query::dialect::rql::compile;
use crate::query::dialect::rql::source::Wrong;
use crate::query::dialect::rql::world::Appliance;
use crate::query::pull::{Bench, Job, Output, Stopped};
use crate::query::strict::eval::{Limits, Machine};
use crate::query::strict::value::Halt;
use std::sync::Arc;

/// See the module's page.
#[derive(Debug)]
pub struct QueryJob {
    /// Its text.
    pub text: String,
    /// How its result is written.
    pub format: Format,
    /// Who asks.
    pub user: Option<Arc<User>>,
    /// Bytes of a text.
    pub text_bytes_max: usize,
    /// Seconds that it may run.
    pub run_limit_s: u64,
    /// What it may use.
    pub limits: Limits,
}

impl QueryJob {
    fn carry_out(&self, bench: &mut dyn Bench) -> Result<Output, Halt> {
        bench.limit_time(self.run_limit_s);
        let may_touch = |name: &str| self.user.as_ref().is_none_or(|user| user.may_touch(name));
        let mut appliance = Appliance { bench, may_touch: &may_touch, fault: None };
        let compiled = compile(&self.text, self.text_bytes_max, &mut appliance);
        if let Some(halt) = appliance.fault.take() {
            return Err(halt);
        }
        let invalid =
            |errors: &[Wrong]| Ok(Output::Invalid(codec::invalid_query(&self.text, errors)));
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(errors) => return invalid(&errors),
        };
        let plan = &compiled.plan;
        if !self.format.supports(&plan.kind) {
            return invalid(&[Wrong::at(compiled.span, "unsupported type")]);
        }
        bench.emit(Output::Started)?;
        let mut sheet = self.format.writer(&plan.kind);
        Machine::new(plan, bench, self.limits).run(&mut sheet)?;
        Ok(Output::Finished(Vec::new()))
    }
}

impl Job for QueryJob {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        let last = match self.carry_out(bench) {
            Ok(output) => output,
            Err(Halt::Failed(text) | Halt::Limit(text)) => Output::Failed(text.into_owned()),
            Err(Halt::Stopped(Stopped::TimedOut)) => {
                Output::Failed(format!("time limit of {} s passed", self.run_limit_s))
            }
            Err(Halt::Stopped(Stopped::Cancelled)) => return,
        };
        // Nobody is left to be told if this fails.
        let _ = bench.emit(last);
    }
}
