//! Named points at which a test makes the server panic, wait or fail, to see that nothing beside it notices. No point
//! decides anything, and a release has none: only the tests turn on the feature of `fail` that gives them a body.

pub(crate) use fail::fail_point as point;

/// A point in the drop of the actor that holds it.
pub(crate) struct Fuse(pub(crate) &'static str);

impl Drop for Fuse {
    fn drop(&mut self) {
        let _name = self.0;
        point!(_name);
    }
}

/// Sets the points as `FAILPOINTS` says (`NAME=ACTION;…`, the actions of the crate `fail`), while the value lives. None,
/// and the variable is not read, where there are no points.
pub(crate) fn points_of_environment() -> Option<fail::FailScenario<'static>> {
    fail::has_failpoints().then(fail::FailScenario::setup)
}
