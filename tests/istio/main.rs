//! The chart and the module in real clusters: Kubernetes' and Istio's own control planes, real Envoy, real rolling
//! updates, under load.
//!
//! `make test-istio` builds what it needs and runs it; `cargo test --test istio -- NAME` runs a part. Each test has a
//! Kubernetes namespace and gateways of its own in one cluster for each line of Istio.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index is null where a key is absent, which is what the checks want to see"
)]

mod access_log;
mod analysis;
mod callers;
mod chart;
mod checking;
mod configuration;
mod deploying;
mod emergency;
mod failures;
mod filters;
mod gateways;
mod installation;
mod lifecycle;
mod missing;
mod module;
mod outliers;
mod pipelines;
mod policy;
mod probing;
mod readme;
mod rendering;
mod roll_outs;
mod rolling_update;
mod route_header;
mod said;
mod shop;
mod status;
mod tenants;
mod testbed;
mod trap;
mod upgrades;
mod visitors;
mod waiting;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use libtest_mimic::{Failed, Trial};
use skew_guard_lab::cluster::{Cluster, IstioLine, isolation};
use skew_guard_lab::{envoy, harness, pods, tool};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use xtask::project::Project;

/// A behaviour that is tested in a cluster.
type Scenario = for<'a> fn(&'a Cluster) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// The tests: each behaviour, and the scenario that shows it.
macro_rules! scenarios {
    ($($behaviour:ident: $scenario:path,)*) => {
        const SCENARIOS: &[(&str, Scenario)] =
            &[$((stringify!($behaviour), |cluster| Box::pin($scenario(cluster)))),*];
    };
}

scenarios! {
    a_rolling_update_with_plain_routing_is_skewed: rolling_update::with_plain_routing,
    a_rolling_update_with_the_chart_has_no_skew_and_no_failures: rolling_update::with_the_chart,
    a_rolling_update_is_rolled_back_halfway: rolling_update::rolled_back_halfway,
    the_chart_is_installed_and_removed_without_interruption: installation::without_interruption,
    a_release_goes_from_staged_to_removed: lifecycle::from_staged_to_removed,
    a_release_is_rolled_back_halfway: lifecycle::rolled_back_halfway,
    a_killed_pod_is_replaced_by_pods_of_its_own_release: failures::a_pod_killed_without_notice,
    tabs_of_a_draining_release_without_pods_are_told_to_reload: failures::the_last_pod_of_a_draining_release,
    a_current_release_without_pods_is_an_outage_and_no_reason_to_reload: failures::the_last_pod_of_the_current_release,
    status_shows_which_release_serves_and_when_the_old_one_may_be_retired: status::through_the_life_of_a_release,
    the_access_log_shows_which_release_answered_and_why: access_log::as_shipped,
    an_invalid_configuration_is_refused_and_never_takes_the_site_down: configuration::an_invalid_one,
    a_mistyped_image_tag_falls_back_to_the_default_routes: configuration::a_mistyped_image_tag,
    dozens_of_configuration_changes_leak_nothing: configuration::dozens_of_changes,
    an_image_is_pulled_by_tag_by_digest_and_with_a_checksum: module::pulled_as_an_image,
    a_checksum_mismatch_falls_back_to_the_default_routes: module::refused_for_a_wrong_checksum,
    a_module_is_loaded_over_https_and_from_a_file: module::loaded_from_a_file,
    a_gateway_started_without_the_image_obeys_clients_that_know_the_route_header: missing::image_under_fail_open,
    under_fail_close_a_gateway_without_the_image_serves_nobody: missing::image_under_fail_close,
    a_missing_module_file_keeps_a_running_plugin_and_breaks_a_new_gateway: missing::file,
    changing_the_route_header_skews_while_routes_and_plugin_disagree: route_header::changed_while_tabs_of_two_releases_are_open,
    changing_the_route_header_is_safe_while_only_one_release_is_served: route_header::changed_while_one_release_is_served,
    outlier_detection_needs_a_minimum_of_healthy_pods_to_keep_a_releases_only_pod: outliers::that_may_eject_the_only_pod,
    a_tab_whose_release_is_gone_is_told_before_it_is_redirected_to_https: filters::before_the_redirect_to_https,
    plugins_of_the_same_phase_run_by_priority: filters::by_priority,
    an_envoy_filter_matches_a_releases_route_by_name: filters::of_others_by_route_name,
    an_upgrade_of_the_module_causes_no_skew_and_no_failures: module::upgraded_under_load,
    a_downgraded_module_keeps_the_last_configuration_it_can_read: module::downgraded_with_a_key_that_is_too_new,
    a_downgraded_module_without_a_readable_configuration_lets_requests_through: module::downgraded_while_a_newer_key_is_in_force,
    changing_the_plugins_kind_causes_no_skew_and_no_failures: module::under_another_kind_of_resource,
    deleting_the_plugin_fails_no_request_and_can_be_undone: emergency::the_plugin_is_deleted,
    disabling_the_chart_fails_no_request_and_can_be_undone: emergency::the_chart_renders_plain_routes,
    a_plugin_that_only_observes_fails_no_request_but_mixes_releases_without_current: emergency::the_plugin_only_observes,
    removing_the_chart_fails_no_request: emergency::the_chart_is_removed,
    a_trap_is_handled_as_the_fail_strategy_says: trap::under_each_fail_strategy,
    a_rolling_update_with_killed_pods_and_late_gateways_is_not_skewed: roll_outs::in_random_order,
    a_gateway_that_lags_behind_causes_no_skew: gateways::one_that_lags_behind,
    every_gateway_that_serves_the_routes_runs_the_plugin: gateways::each_with_its_own_plugin,
    a_caller_inside_the_mesh_keeps_its_release: callers::beside_a_gateway,
    two_teams_install_under_one_name_with_services_in_other_namespaces: tenants::of_one_name,
    renaming_the_plugin_leaves_no_gap: tenants::renamed_plugin,
    tenants_write_only_the_plugins_that_the_platform_allows: policy::of_the_platform,
    another_team_gets_a_path_of_our_host_through_the_chart: tenants::a_path_for_another_team,
    other_applications_on_the_gateway_are_unaffected: gateways::other_applications,
    an_upgrade_is_safe_in_whatever_order_its_parts_arrive: upgrades::arriving_in_any_order,
    upgrades_are_safe_while_the_plugin_stays_behind: upgrades::with_the_plugin_left_behind,
    a_jump_back_by_helm_rollback_skews_nothing: upgrades::taken_back_by_helm_rollback,
    wait_finds_gateways_as_they_come_and_go: waiting::finds_gateways_as_they_come_and_go,
    wait_does_not_succeed_while_the_routes_are_refused: waiting::while_the_routes_are_refused,
    probe_asks_every_gateway_until_the_releases_pods_answer: probing::through_every_gateway,
    check_finds_every_conflict_and_misconfiguration_in_the_cluster: checking::finds_what_is_wrong,
    istioctl_analyze_reports_nothing_but_the_catch_all: analysis::reports_only_the_catch_all,
    deploy_releases_three_versions_in_a_row_unnoticed: deploying::three_in_a_row,
    deploy_gives_a_release_a_tenth_then_half_then_all_visitors: deploying::by_percent,
    deploy_stages_a_preview_and_then_releases_it: deploying::a_preview,
    deploy_and_rollback_update_plain_deployments: deploying::plain_deployments,
    deploy_is_rolled_back_while_it_runs_and_afterwards: deploying::rolled_back,
    deploy_waits_for_a_gateway_that_lags_behind: deploying::by_a_gateway_that_lags_behind,
    deploy_waits_for_a_gateway_until_told_to_skip_it: deploying::by_a_gateway_that_is_skipped,
    deploy_waits_while_the_routes_are_refused: deploying::by_refused_routes,
    deploy_waits_while_the_configuration_is_refused: deploying::by_a_refused_configuration,
    deploy_gives_up_on_pods_that_never_become_ready: deploying::by_a_pod_that_never_becomes_ready,
    deploy_killed_at_any_step_resumes: deploying::killed_at_any_step,
    deploy_killed_while_pods_are_replaced_resumes_and_so_does_rollback: deploying::killed_while_pods_are_replaced,
    deploy_refuses_a_missing_image_before_it_changes_anything: deploying::by_a_missing_image,
    deploy_refuses_to_run_while_another_is_under_way: deploying::by_another_deployment,
    deploy_status_and_check_need_exactly_the_rights_of_their_roles: deploying::enough_and_no_more,
    deploy_notices_a_list_set_back_from_an_old_file: deploying::by_an_old_file,
    the_pipelines_for_argo_cd_and_flux_match_their_definitions: pipelines::match_their_definitions,
    manifests_rendered_by_argo_cd_and_kustomize_cause_no_skew_and_no_failures: rendering::by_argo_cd_and_kustomize,
    every_command_of_the_charts_pages_works: readme::followed_to_the_letter,
}

fn main() -> ExitCode {
    harness::main(
        |arguments| {
            build_what_needs_the_network()?;
            isolation::enter()?;
            // One cluster, two processors.
            arguments.test_threads = Some(1);
            Ok(())
        },
        |runtime| {
            runtime.spawn(end_on_signal());
            let lines = IstioLine::ALL.into_iter();
            lines.flat_map(|line| tests_on(line, runtime)).collect()
        },
    )
}

/// There is no network outside the namespaces.
fn build_what_needs_the_network() -> Result<()> {
    skew_guard_lab::module::path()?;
    // The README's commands build it again, without a network.
    xtask::module::build(&Project::here()?)?;
    tool::path()?;
    pods::application()?;
    envoy::installed()?;
    Ok(())
}

/// The first process of a PID namespace gets only the signals that it handles; when it ends, so do all others.
async fn end_on_signal() -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    std::process::exit(130)
}

/// The tests on one line of Istio; the first that runs starts the cluster, the last ends it.
fn tests_on(line: IstioLine, runtime: &Arc<Runtime>) -> Vec<Trial> {
    let shared = Arc::new(SharedCluster {
        line,
        running: Mutex::default(),
    });
    let trial = |(name, scenario): &(&str, Scenario)| {
        let (shared, runtime, scenario) = (Arc::clone(&shared), Arc::clone(runtime), *scenario);
        Trial::test(*name, move || shared.run(&runtime, scenario))
            .with_kind(format!("Istio {}", line.name()))
    };
    SCENARIOS.iter().map(trial).collect()
}

struct SharedCluster {
    line: IstioLine,
    running: Mutex<Option<Cluster>>,
}

impl SharedCluster {
    fn run(&self, runtime: &Runtime, scenario: Scenario) -> Result<(), Failed> {
        eprintln!();
        let outcome = self.started(runtime, |cluster| runtime.block_on(scenario(cluster)));
        outcome.map_err(|problem| Failed::from(format!("{problem:#}")))
    }

    fn started(
        &self,
        runtime: &Runtime,
        use_it: impl FnOnce(&Cluster) -> Result<()>,
    ) -> Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            let begin = Instant::now();
            *running = Some(runtime.block_on(Cluster::start(self.line))?);
            eprintln!(
                "  Kubernetes and Istio {} are up after {:.1?}",
                self.line.name(),
                begin.elapsed()
            );
        }
        use_it(running.as_ref().context("the cluster is running")?)
    }
}
