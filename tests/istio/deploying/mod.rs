//! Whole deployments by `skew-guard deploy`, under load, and disturbed in every likely way.

mod disturbed;
mod killed;
mod pipeline;
mod release;
mod rights;
mod roles;
mod storage;

pub use disturbed::{
    by_a_gateway_that_is_skipped, by_a_gateway_that_lags_behind, by_a_missing_image,
    by_a_pod_that_never_becomes_ready, by_a_refused_configuration, by_an_old_file,
    by_another_deployment, by_refused_routes,
};
pub use killed::{killed_at_any_step, killed_while_pods_are_replaced};
pub use release::{a_preview, by_percent, plain_deployments, rolled_back, three_in_a_row};
pub use rights::enough_and_no_more;
