{{- /*
What every resource is made from: the releases with their routes and labels filled in, and the paths in the order in
which a mesh has to try them. A template cannot return a list, so these give JSON for `fromJson`.
*/ -}}

{{- /* The name of a version's subset and the value of its label: a DNS-1123 label. */ -}}
{{- define "skew-guard.routeOf" -}}
{{- $slug := regexReplaceAll "[^a-z0-9]+" (lower .) "-" -}}
{{- if regexMatch "^[0-9]" $slug -}}
{{- $slug = printf "v%s" $slug -}}
{{- end -}}
{{- $slug | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- /*
{"list": [{version, route, state, labels, routed}]}, in the order of the values. `routed` releases have subsets and
routes: those that are not retired, and the newest retired ones, which the plugin no longer uses but a gateway that
has not learned so may.
*/ -}}
{{- define "skew-guard.releases" -}}
{{- $keep := int .Values.keepRetired -}}
{{- $list := list -}}
{{- range .Values.releases -}}
  {{- $state := .state | default "live" -}}
  {{- $routed := true -}}
  {{- if eq $state "retired" -}}
    {{- $routed = gt $keep 0 -}}
    {{- $keep = sub $keep 1 -}}
  {{- end -}}
  {{- $route := .route | default (include "skew-guard.routeOf" .version) -}}
  {{- $labels := .labels | default (dict "version" $route) -}}
  {{- $list = append $list (dict "version" .version "route" $route "state" $state "labels" $labels "routed" $routed) -}}
{{- end -}}
{{- dict "list" $list | toJson -}}
{{- end }}

{{- /* `current` as the list that it stands for: {"list": [{version, weight}]}; none is an empty one. */ -}}
{{- define "skew-guard.current" -}}
{{- $current := .Values.current | default list -}}
{{- if kindIs "string" $current -}}
{{- $current = list (dict "version" $current "weight" 1) -}}
{{- end -}}
{{- dict "list" $current | toJson -}}
{{- end }}

{{- /*
The route of requests that reach the mesh without the plugin's word: the heaviest release of `current`, the first on a
tie, so that a bypassed plugin neither mixes releases nor shows a staged one. Nothing without `current`: all pods.
*/ -}}
{{- define "skew-guard.defaultRoute" -}}
{{- $heaviest := dict "weight" -1 -}}
{{- range (include "skew-guard.current" . | fromJson).list -}}
  {{- if gt (int .weight) (int $heaviest.weight) -}}
    {{- $heaviest = . -}}
  {{- end -}}
{{- end -}}
{{- range (include "skew-guard.releases" . | fromJson).list -}}
  {{- if eq .version (get $heaviest "version") -}}
    {{- .route -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{- /* {"list": [{path, service, index}]}, the longest path first. */ -}}
{{- define "skew-guard.paths" -}}
{{- $byOrder := dict -}}
{{- range $index, $service := .Values.services -}}
  {{- range $path := .paths -}}
    {{- $_ := set $byOrder (printf "%05d %s" (sub 99999 (len $path)) $path) (dict "path" $path "service" $service "index" $index) -}}
  {{- end -}}
{{- end -}}
{{- $list := list -}}
{{- range $order := keys $byOrder | sortAlpha -}}
  {{- $list = append $list (get $byOrder $order) -}}
{{- end -}}
{{- dict "list" $list | toJson -}}
{{- end }}

{{- /*
{"list": [{paths, service}]}, in the order in which a mesh has to try them. Paths of one service are together, because
Envoy tries routes one by one: what lies above a path of another service stands in a later group than that. The root is
by itself: a gateway that merges the routes of several teams tries catch-alls last.
*/ -}}
{{- define "skew-guard.groups" -}}
{{- $ranks := dict -}}
{{- $groups := dict -}}
{{- range $entry := (include "skew-guard.paths" . | fromJson).list -}}
  {{- $rank := 0 -}}
  {{- $below := printf "%s/" (trimSuffix "/" .path) -}}
  {{- range $path, $other := $ranks -}}
    {{- if and (hasPrefix $below $path) (ne (int $other.index) (int $entry.index)) (ge (int $other.rank) (int $rank)) -}}
      {{- $rank = add1 $other.rank -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $ranks .path (dict "rank" $rank "index" .index) -}}
  {{- $key := printf "%05d %05d" (int $rank) (int .index) -}}
  {{- if eq .path "/" -}}
    {{- $key = "root" -}}
  {{- else if dig "rewrite" "uri" "" (.service.http | default dict) -}}
    {{- $key = printf "%s %s" $key .path -}}
  {{- end -}}
  {{- $paths := list -}}
  {{- if hasKey $groups $key -}}{{- $paths = (get $groups $key).paths -}}{{- end -}}
  {{- $_ := set $groups $key (dict "paths" (append $paths .path) "service" .service) -}}
{{- end -}}
{{- $list := list -}}
{{- range $key := keys $groups | sortAlpha -}}
  {{- $list = append $list (get $groups $key) -}}
{{- end -}}
{{- dict "list" $list | toJson -}}
{{- end }}

{{- /* Whether a service exists in a release: in all of them if it names none. Takes service and version. */ -}}
{{- define "skew-guard.hasRelease" -}}
{{- if or (not .service.releases) (has .version (.service.releases | default list)) -}}true{{- end -}}
{{- end }}

{{- /* `versioned` of a service: true unless it says false (which `default` would take for absent). */ -}}
{{- define "skew-guard.versioned" -}}
{{- if ne (toString .versioned) "false" -}}true{{- end -}}
{{- end }}

{{- /* The name of the route header. Istio matches header names in lower case only. */ -}}
{{- define "skew-guard.routeHeader" -}}
{{- .Values.config.routeHeader | default "x-release" | lower -}}
{{- end }}

{{- define "skew-guard.absent" -}}skew-guard-absent{{- end }}

{{- /* The plugin's configuration. */ -}}
{{- define "skew-guard.pluginConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- $releases := list -}}
{{- range $index, $release := (include "skew-guard.releases" . | fromJson).list -}}
  {{- $given := omit (index $.Values.releases $index) "labels" "route" -}}
  {{- if ne $release.state "retired" -}}
    {{- $given = merge $given (dict "route" $release.route) -}}
  {{- end -}}
  {{- $releases = append $releases $given -}}
{{- end -}}
{{- $_ := set $config "releases" $releases -}}
{{- if .Values.current -}}
  {{- $_ := set $config "current" .Values.current -}}
{{- end -}}
{{- if not (has "*" .Values.hosts) -}}
  {{- $_ := set $config "hosts" .Values.hosts -}}
{{- end -}}
{{- $_ := set $config "revision" (include "skew-guard.revision" . | int64) -}}
{{- toYaml $config -}}
{{- end }}

{{- /* The revision of this upgrade, for plugin and routes alike. */ -}}
{{- define "skew-guard.revision" -}}
{{- ternary .Values.config.revision .Release.Revision (hasKey .Values.config "revision") | int64 -}}
{{- end }}

{{- /*
What Envoy counts a route's requests under. It makes the counter as soon as it has loaded the routes: by that, and not by
the plugin's gauge, a gateway says that it has these. One word: a tag's value ends at a dot.
*/ -}}
{{- define "skew-guard.statPrefix" -}}
{{- printf "skew-guard-%s-%s-r%s" .Release.Namespace (replace "." "_" .Release.Name) (include "skew-guard.revision" .) -}}
{{- end }}

{{- /* The path by which a versioned service is asked whether a release answers. */ -}}
{{- define "skew-guard.probePath" -}}
{{- .probePath | default (first .paths) -}}
{{- end }}
