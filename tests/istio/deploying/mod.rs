//! Whole deployments by `skew-guard deploy`, under load, with every likely disturbance.

mod disturbed;
mod killed;
mod pipeline;
mod release;
mod rights;
mod roles;
mod storage;

pub use disturbed::{
    a_pod_that_is_never_ready, a_second_one_at_once, by_a_gateway_that_is_late,
    by_a_gateway_that_is_skipped, by_a_missing_image, by_a_refused_configuration,
    by_refused_routes, by_somebodys_old_file,
};
pub use killed::{killed_at_each_step, killed_while_pods_change};
pub use release::{a_preview, by_shares, rolled_back, rolling_deployments, three_in_a_row};
pub use rights::enough_and_no_more;
