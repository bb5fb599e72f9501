//! The chart and the module in real clusters: Kubernetes' and Istio's own control planes, real Envoy, real rolling
//! updates, under load.
//!
//! `make test-istio` builds what it needs and runs it; `cargo test --test istio -- NAME` runs a part. Each test has a
//! Kubernetes namespace and gateways of its own in one cluster for each line of Istio.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index is null where a key is absent, which is what the checks want to see"
)]

mod analysis;
mod callers;
mod chart;
mod configuration;
mod deploying;
mod exits;
mod failures;
mod filters;
mod gateways;
mod installation;
mod life;
mod looking;
mod missing;
mod module;
mod observing;
mod outliers;
mod pipelines;
mod policy;
mod probing;
mod readme;
mod rendering;
mod roll_outs;
mod rolling_update;
mod route_header;
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

/// Every test, named after its behaviour.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("a_rolling_update_with_plain_routing_is_skewed", |cluster| {
        Box::pin(rolling_update::with_plain_routing(cluster))
    }),
    (
        "a_rolling_update_with_the_chart_is_neither_skewed_nor_failing",
        |cluster| Box::pin(rolling_update::with_the_chart(cluster)),
    ),
    ("a_rolling_update_is_rolled_back_in_the_middle", |cluster| {
        Box::pin(rolling_update::rolled_back_in_the_middle(cluster))
    }),
    ("a_team_moves_in_and_out_without_interruption", |cluster| {
        Box::pin(installation::in_and_out_without_interruption(cluster))
    }),
    ("a_release_lives_from_staged_to_removed", |cluster| {
        Box::pin(life::from_staged_to_removed(cluster))
    }),
    ("a_roll_out_is_rolled_back_in_the_middle", |cluster| {
        Box::pin(life::rolled_back_in_the_middle(cluster))
    }),
    (
        "a_pod_killed_without_notice_is_replaced_by_its_own_release",
        |cluster| Box::pin(failures::a_pod_killed_without_notice(cluster)),
    ),
    (
        "the_tabs_of_a_draining_release_without_pods_are_told_to_reload",
        |cluster| Box::pin(failures::the_last_pod_of_a_draining_release(cluster)),
    ),
    (
        "a_current_release_without_pods_is_an_outage_not_a_reload",
        |cluster| Box::pin(failures::the_last_pod_of_the_current_release(cluster)),
    ),
    (
        "status_says_which_release_answers_and_whether_the_old_one_may_go",
        |cluster| Box::pin(status::through_the_life_of_a_release(cluster)),
    ),
    (
        "the_access_log_says_which_release_answered_and_why",
        |cluster| Box::pin(observing::in_the_access_log(cluster)),
    ),
    (
        "a_wrong_configuration_is_refused_and_never_takes_the_site_down",
        |cluster| Box::pin(configuration::a_wrong_one(cluster)),
    ),
    ("a_mistyped_image_tag_leaves_plain_routing", |cluster| {
        Box::pin(configuration::a_mistyped_image_tag(cluster))
    }),
    (
        "configurations_change_by_the_dozen_and_nothing_leaks",
        |cluster| Box::pin(configuration::dozens_of_changes(cluster)),
    ),
    (
        "an_image_is_taken_by_tag_by_digest_and_with_its_checksum",
        |cluster| Box::pin(module::taken_as_an_image(cluster)),
    ),
    (
        "an_image_whose_checksum_is_another_leaves_plain_routing",
        |cluster| Box::pin(module::refused_under_a_wrong_checksum(cluster)),
    ),
    ("a_module_is_taken_from_https_and_from_a_file", |cluster| {
        Box::pin(module::taken_as_a_file(cluster))
    }),
    (
        "a_gateway_that_starts_without_the_image_obeys_who_knows_the_route_header",
        |cluster| Box::pin(missing::as_an_image_under_fail_open(cluster)),
    ),
    (
        "a_gateway_that_may_not_go_without_the_image_serves_nobody_or_waits",
        |cluster| Box::pin(missing::as_an_image_under_fail_close(cluster)),
    ),
    (
        "a_file_that_is_not_there_keeps_the_plugin_and_stops_a_gateway_that_starts",
        |cluster| Box::pin(missing::as_a_file(cluster)),
    ),
    (
        "a_changed_route_header_skews_while_routes_and_plugin_disagree",
        |cluster| {
            Box::pin(route_header::changed_while_tabs_of_two_releases_are_open(
                cluster,
            ))
        },
    ),
    (
        "a_route_header_is_changed_unnoticed_while_one_release_is_served",
        |cluster| Box::pin(route_header::changed_while_one_release_is_served(cluster)),
    ),
    (
        "outlier_detection_that_ejects_the_only_pod_needs_a_minimum_of_health",
        |cluster| Box::pin(outliers::that_may_eject_the_only_pod(cluster)),
    ),
    (
        "a_client_that_is_gone_is_told_so_before_it_is_redirected_to_https",
        |cluster| Box::pin(filters::before_the_redirect_to_https(cluster)),
    ),
    (
        "plugins_of_one_phase_run_in_the_order_of_their_priorities",
        |cluster| Box::pin(filters::in_the_order_of_priorities(cluster)),
    ),
    (
        "an_envoy_filter_finds_the_route_of_a_release_by_its_name",
        |cluster| Box::pin(filters::with_filters_of_others_by_route_name(cluster)),
    ),
    (
        "an_upgrade_of_the_module_is_neither_skewed_nor_failing",
        |cluster| Box::pin(module::upgraded_under_load(cluster)),
    ),
    (
        "a_downgraded_module_keeps_the_last_configuration_that_it_knows",
        |cluster| Box::pin(module::downgraded_with_a_key_that_is_too_new(cluster)),
    ),
    (
        "a_downgraded_module_that_can_read_nothing_lets_requests_through",
        |cluster| {
            Box::pin(module::downgraded_while_a_key_is_in_force_that_is_too_new(
                cluster,
            ))
        },
    ),
    (
        "a_change_of_the_plugin_s_kind_is_neither_skewed_nor_failing",
        |cluster| Box::pin(module::under_another_kind_of_resource(cluster)),
    ),
    (
        "a_deleted_plugin_fails_no_request_and_comes_back",
        |cluster| Box::pin(exits::the_plugin_is_deleted(cluster)),
    ),
    (
        "a_disabled_chart_fails_no_request_and_comes_back",
        |cluster| Box::pin(exits::the_chart_renders_plain_routes(cluster)),
    ),
    (
        "a_plugin_that_only_observes_fails_no_request_and_mixes_tabs_without_current",
        |cluster| Box::pin(exits::the_plugin_only_observes(cluster)),
    ),
    ("a_removed_chart_fails_no_request", |cluster| {
        Box::pin(exits::the_chart_is_removed(cluster))
    }),
    ("a_trap_does_what_its_fail_strategy_says", |cluster| {
        Box::pin(trap::under_each_fail_strategy(cluster))
    }),
    (
        "a_rolling_update_with_killed_pods_and_late_gateways_is_not_skewed",
        |cluster| Box::pin(roll_outs::in_random_order(cluster)),
    ),
    ("a_gateway_that_learns_late_causes_no_skew", |cluster| {
        Box::pin(gateways::one_that_learns_late(cluster))
    }),
    (
        "every_gateway_that_serves_the_routes_runs_the_plugin",
        |cluster| Box::pin(gateways::each_with_a_plugin_of_its_own(cluster)),
    ),
    (
        "a_caller_in_the_mesh_keeps_its_release_beside_a_gateway",
        |cluster| Box::pin(callers::beside_a_gateway(cluster)),
    ),
    (
        "two_teams_with_services_elsewhere_install_under_one_name",
        |cluster| Box::pin(tenants::of_one_name(cluster)),
    ),
    (
        "a_plugin_under_its_former_name_is_replaced_without_a_gap",
        |cluster| Box::pin(tenants::renamed_plugin(cluster)),
    ),
    (
        "tenants_write_only_the_plugins_that_the_platform_allows",
        |cluster| Box::pin(policy::of_the_platform(cluster)),
    ),
    (
        "a_second_team_gets_a_path_of_our_host_through_the_chart",
        |cluster| Box::pin(tenants::a_path_for_another_team(cluster)),
    ),
    (
        "other_applications_on_the_gateway_are_not_disturbed",
        |cluster| Box::pin(gateways::other_applications(cluster)),
    ),
    (
        "an_upgrade_is_safe_in_whatever_order_the_mesh_learns_its_parts",
        |cluster| Box::pin(upgrades::learnt_in_any_order(cluster)),
    ),
    ("upgrades_whose_plugin_is_refused_are_safe", |cluster| {
        Box::pin(upgrades::with_the_plugin_left_behind(cluster))
    }),
    ("a_jump_back_by_helm_rollback_skews_nothing", |cluster| {
        Box::pin(upgrades::taken_back_by_helm_rollback(cluster))
    }),
    (
        "wait_finds_the_gateways_of_each_moment_and_proves_plugin_and_routes",
        |cluster| Box::pin(waiting::finds_the_gateways_of_each_moment(cluster)),
    ),
    (
        "wait_is_not_satisfied_while_the_routes_are_refused",
        |cluster| Box::pin(waiting::routes_that_were_refused(cluster)),
    ),
    (
        "a_probe_asks_every_gateway_for_a_release_until_its_pods_answer",
        |cluster| Box::pin(probing::through_every_gateway(cluster)),
    ),
    (
        "a_look_into_the_cluster_finds_what_each_neighbour_and_mistake_does",
        |cluster| Box::pin(looking::finds_what_is_wrong(cluster)),
    ),
    (
        "istioctl_analyze_finds_nothing_but_the_catch_all",
        |cluster| Box::pin(analysis::finds_only_the_catch_all(cluster)),
    ),
    (
        "deploy_brings_three_releases_in_a_row_and_nobody_notices",
        |cluster| Box::pin(deploying::three_in_a_row(cluster)),
    ),
    ("deploy_stops_at_shares_and_goes_on", |cluster| {
        Box::pin(deploying::by_shares(cluster))
    }),
    ("deploy_stops_at_a_preview_and_goes_on", |cluster| {
        Box::pin(deploying::a_preview(cluster))
    }),
    (
        "deploy_rolls_plain_deployments_out_and_rollback_rolls_them_back",
        |cluster| Box::pin(deploying::rolling_deployments(cluster)),
    ),
    ("deploy_is_rolled_back_in_the_middle_and_after", |cluster| {
        Box::pin(deploying::rolled_back(cluster))
    }),
    ("deploy_waits_for_a_gateway_that_is_late", |cluster| {
        Box::pin(deploying::by_a_gateway_that_is_late(cluster))
    }),
    (
        "deploy_waits_for_a_gateway_until_it_is_skipped_and_says_so",
        |cluster| Box::pin(deploying::by_a_gateway_that_is_skipped(cluster)),
    ),
    (
        "deploy_waits_while_routes_are_refused_and_nobody_notices",
        |cluster| Box::pin(deploying::by_refused_routes(cluster)),
    ),
    (
        "deploy_waits_while_the_configuration_is_refused",
        |cluster| Box::pin(deploying::by_a_refused_configuration(cluster)),
    ),
    ("deploy_gives_up_on_pods_that_are_never_ready", |cluster| {
        Box::pin(deploying::a_pod_that_is_never_ready(cluster))
    }),
    ("deploy_killed_at_each_step_goes_on", |cluster| {
        Box::pin(deploying::killed_at_each_step(cluster))
    }),
    (
        "deploy_killed_while_pods_change_goes_on_and_so_does_rollback",
        |cluster| Box::pin(deploying::killed_while_pods_change(cluster)),
    ),
    (
        "deploy_refuses_an_image_that_is_not_there_before_it_changes_anything",
        |cluster| Box::pin(deploying::by_a_missing_image(cluster)),
    ),
    ("deploy_runs_once_at_a_time", |cluster| {
        Box::pin(deploying::a_second_one_at_once(cluster))
    }),
    (
        "deploy_status_and_check_need_the_rights_of_their_roles_and_no_others",
        |cluster| Box::pin(deploying::enough_and_no_more(cluster)),
    ),
    ("deploy_sees_a_list_that_was_rewound", |cluster| {
        Box::pin(deploying::by_somebodys_old_file(cluster))
    }),
    (
        "the_pipelines_of_argo_cd_and_flux_are_as_these_define_them",
        |cluster| Box::pin(pipelines::as_they_are_defined(cluster)),
    ),
    (
        "what_argo_cd_and_kustomize_render_is_neither_skewed_nor_failing",
        |cluster| Box::pin(rendering::by_argo_cd_and_kustomize(cluster)),
    ),
    (
        "every_command_of_the_charts_readme_does_what_it_says",
        |cluster| Box::pin(readme::followed_to_the_letter(cluster)),
    ),
];

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
