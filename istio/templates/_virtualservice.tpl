{{- define "skew-guard.virtualService" -}}
{{- $releases := (include "skew-guard.releases" . | fromJson).list -}}
{{- $absent := include "skew-guard.absent" . -}}
{{- $statPrefix := include "skew-guard.statPrefix" . -}}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {{ include "skew-guard.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "skew-guard.labels" . | nindent 4 }}
  annotations:
    # The subset {{ $absent }} is not there on purpose: see below.
    galley.istio.io/analyze-suppress: IST0101
    {{- if .Values.enabled }}
    # By these skew-guard wait finds what belongs together.
    skew-guard/plugin: {{ include "skew-guard.pluginNames" . }}
    skew-guard/stat-prefix: {{ $statPrefix }}
    skew-guard/rule-namespaces: {{ include "skew-guard.ruleNamespaces" . }}
    {{- if .Values.podMonitor.enabled }}
    skew-guard/pod-monitor: "true"
    {{- end }}
    skew-guard/probe-paths: {{ (include "skew-guard.probePaths" . | fromJson).list | toJson | quote }}
    {{- end }}
spec:
  {{- with .Values.exportTo }}
  exportTo:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  hosts:
    {{- toYaml .Values.hosts | nindent 4 }}
  gateways:
    {{- toYaml .Values.gateways | nindent 4 }}
  http:
    {{- range $group := (include "skew-guard.groups" . | fromJson).list }}
    {{- $paths := join ", " .paths }}
    {{- $name := first .paths }}
    {{- $route := merge (dict "header" (include "skew-guard.routeHeader" $) "corsPolicy" $.Values.corsPolicy) . }}
    {{- $isVersioned := include "skew-guard.versioned" .service }}
    {{- if and $isVersioned $.Values.enabled }}
    # {{ $paths }}: every release its route. The plugin knows a failed route of a release by the name.
    {{- range $releases }}
    {{- if and .routed (include "skew-guard.hasRelease" (dict "service" $group.service "version" .version)) }}
    {{- include "skew-guard.httpRoute" (merge (dict "name" (printf "%s|%s" .route $name) "subset" .route "value" .route) $route) | nindent 4 }}
    {{- end }}
    {{- end }}
    # {{ $paths }}: a release that has no route here (any more, or yet) must not fall through to the pods of another one.
    # No subset has this name, so that Envoy finds no cluster, which the plugin turns into the reload answer.
    {{- include "skew-guard.httpRoute" (merge (dict "name" $absent "subset" $absent "value" "" "statPrefix" $statPrefix) $route) | nindent 4 }}
    {{- $statPrefix = "" }}
    {{- end }}
    {{- if $isVersioned }}
    # {{ $paths }}: no word from the plugin.
    {{- include "skew-guard.httpRoute" (merge (dict "name" (printf "default|%s" $name) "subset" (include "skew-guard.defaultRoute" $)) $route) | nindent 4 }}
    {{- else }}
    # {{ $paths }}: not versioned.
    {{- include "skew-guard.httpRoute" (merge (dict "name" (printf "default|%s" $name)) $route) | nindent 4 }}
    {{- end }}
    {{- end }}
{{- end }}

{{- /* The path of each versioned service by which it is asked whether a release answers: {"list": […]}. */ -}}
{{- define "skew-guard.probePaths" -}}
{{- $list := list -}}
{{- range .Values.services -}}
  {{- if include "skew-guard.versioned" . -}}
    {{- $path := include "skew-guard.probePath" . -}}
    {{- $list = append $list (ternary (dict "path" $path "releases" .releases) $path (not (empty .releases))) -}}
  {{- end -}}
{{- end -}}
{{- dict "list" $list | toJson -}}
{{- end }}

{{- /*
A size that `kubectl apply` takes: it writes what it applied into an annotation, as JSON, and annotations end at 262,144
bytes. It would refuse the routes, and apply the plugin.
*/ -}}
{{- define "skew-guard.maximumSize" -}}250000{{- end }}
