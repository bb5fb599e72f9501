{{- /*
Makes labels of the tags that stand in the names of the plugin's metrics: the rules of envoy/observability/relabel.yaml,
which says why, in the words of a PodMonitor.
*/ -}}
{{- define "skew-guard.metricRelabelings" -}}
- sourceLabels: [__name__]
  regex: plugin___(.*?)___(?:release___.+___)?skew_guard_.+
  targetLabel: plugin
- sourceLabels: [__name__]
  regex: plugin___.*?___release___(.+?)___(?:outcome___.+___|answer___.+___)?skew_guard_.+
  targetLabel: release
- sourceLabels: [__name__]
  regex: plugin___.+___outcome___([a-z]+)___class___[a-z]+___skew_guard_.+
  targetLabel: outcome
- sourceLabels: [__name__]
  regex: plugin___.+___class___([a-z]+)___skew_guard_.+
  targetLabel: class
- sourceLabels: [__name__]
  regex: plugin___.+___answer___([a-z]+)___skew_guard_.+
  targetLabel: answer

# Eight underscores of the release, then four, two and one: up to fifteen.
- sourceLabels: [__name__, release]
  regex: plugin___.+;(.*)_(.*)_(.*)_(.*)_(.*)_(.*)_(.*)_(.*)_(.*)
  targetLabel: release
  replacement: $1-$2-$3-$4-$5-$6-$7-$8-$9
- sourceLabels: [__name__, release]
  regex: plugin___.+;(.*)_(.*)_(.*)_(.*)_(.*)
  targetLabel: release
  replacement: $1-$2-$3-$4-$5
- sourceLabels: [__name__, release]
  regex: plugin___.+;(.*)_(.*)_(.*)
  targetLabel: release
  replacement: $1-$2-$3
- sourceLabels: [__name__, release]
  regex: plugin___.+;(.*)_(.*)
  targetLabel: release
  replacement: $1-$2

# Last, because the rules above know the series by it.
- sourceLabels: [__name__]
  regex: plugin___.*___(skew_guard_.+)
  targetLabel: __name__
{{- end }}
