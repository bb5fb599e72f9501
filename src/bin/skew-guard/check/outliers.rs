//! Outlier detection that can take the last pod of a release away.

use crate::document::{Document, Form};
use crate::yaml::{Node, Value};

/// Envoy takes all pods from here on.
const ALL: f64 = 100.0;

/// What the chart's values say to each service's DestinationRule.
pub fn warnings(document: &Document) -> Vec<String> {
    if document.form != Form::Chart {
        return Vec::new();
    }
    let services = document
        .root
        .at(&document.at)
        .and_then(|values| values.get("services"));
    let services = services.map_or(&[][..], Node::items).iter().enumerate();
    services
        .filter(|(_, service)| {
            let policy = service.below(&["trafficPolicy", "outlierDetection"]);
            policy.is_some_and(can_take_all)
        })
        .map(|(index, _)| {
            format!(
                "services[{index}].trafficPolicy.outlierDetection may eject every pod (maxEjectionPercent 100): one visitor's errors can then eject a release's only pod, and its tabs are told to reload although it is alive. Add minHealthPercent: 50"
            )
        })
        .collect()
}

fn can_take_all(policy: &Node) -> bool {
    let number = |key| policy.get(key).map_or(0.0, number);
    number("maxEjectionPercent") >= ALL && number("minHealthPercent") <= 0.0
}

fn number(node: &Node) -> f64 {
    match &node.value {
        Value::Number(number) => number.parse().unwrap_or_default(),
        _ => 0.0,
    }
}
