{{- /*
What no schema can check, because several values have to agree: one line per problem, all problems at once, in the
plugin's own words, because it would refuse most of them too. Helm checks the schema first.
*/ -}}
{{- define "skew-guard.problems" -}}
{{- include "skew-guard.problemsOfReleases" . -}}
{{- include "skew-guard.problemsOfRoutes" . -}}
{{- include "skew-guard.problemsOfCurrent" . -}}
{{- include "skew-guard.problemsOfConfig" . -}}
{{- include "skew-guard.problemsOfServices" . -}}
{{- include "skew-guard.problemsOfHosts" . -}}
{{- include "skew-guard.problemsOfPlugins" . -}}
{{- with .Values.expectedRevision -}}
{{- if ne (int64 .) (int64 $.Release.Revision) }}
- expectedRevision: revision {{ int64 . }} was expected, and this upgrade would make {{ int64 $.Release.Revision }}: someone has upgraded in the meantime, so check the list again. (`skew-guard deploy` sets this key; in an upgrade by hand, leave it out: --set expectedRevision=null)
{{- end -}}
{{- end -}}
{{- end }}

{{- define "skew-guard.problemsOfHosts" -}}
{{- if has "*" .Values.hosts -}}
  {{- if gt (len .Values.hosts) 1 }}
- hosts: "*" means all hosts, so it has to be the only one
  {{- end -}}
  {{- if has "mesh" .Values.gateways }}
- hosts: Istio does not accept "*" for the gateway "mesh"; name the services that callers ask for
  {{- end -}}
  {{- if not .Values.ownsGateway }}
- hosts: "*" treats every request on these gateways as this application's; name its hosts, or set ownsGateway: true if nobody else uses the gateways
  {{- end -}}
{{- end -}}
{{- end }}

{{- define "skew-guard.problemsOfPlugins" -}}
{{- if .Values.plugins -}}
  {{- if .Values.selector }}
- selector: each entry of plugins has its own; leave this one out
  {{- end -}}
  {{- if .Values.plugin.namespace }}
- plugin.namespace: each entry of plugins has its own; leave this one out
  {{- end -}}
  {{- $covered := list -}}
  {{- $byResource := dict -}}
  {{- range $index, $plugin := (include "skew-guard.plugins" . | fromJson).list -}}
    {{- $at := printf "plugins[%d]" $index -}}
    {{- $resource := printf "%s/%s" .namespace .resource -}}
    {{- if hasKey $byResource $resource }}
- {{ $at }}.name: {{ get $byResource $resource }} is in the namespace {{ .namespace }} too, and has {{ ternary "this name" "no name either" (hasKey $plugin "name") }}; give each a different name
    {{- end -}}
    {{- $_ := set $byResource $resource $at -}}
    {{- if and (gt (len $.Values.plugins) 1) (not .gateways) }}
- {{ $at }}.gateways: name the gateways that these pods serve, so that none is left without the plugin
    {{- end -}}
    {{- range .gateways -}}
      {{- if not (has . $.Values.gateways) }}
- {{ $at }}.gateways: {{ quote . }} is not in gateways: {{ join ", " $.Values.gateways }}
      {{- end -}}
    {{- end -}}
    {{- $covered = concat $covered .covers -}}
  {{- end -}}
  {{- range $index, $gateway := .Values.gateways -}}
    {{- if not (has . $covered) }}
- gateways[{{ $index }}]: {{ quote . }} is not in the gateways of any plugin: old tabs would be skewed there, and a client could choose its release
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- include "skew-guard.problemsOfExport" . -}}
{{- if and (not .Values.plugin.create) (not .Values.routes.create) }}
- plugin.create: with routes.create: false too, there is nothing to install
{{- end -}}
{{- if and (not (hasKey .Values.config "revision")) (or (not .Values.plugin.create) (not .Values.routes.create)) }}
- config.revision: the two halves are two Helm releases, which count separately; set this number in both, and raise it with each change
{{- end -}}
{{- end }}

{{- define "skew-guard.problemsOfReleases" -}}
{{- $seen := dict -}}
{{- $accepted := dict -}}
{{- $served := 0 -}}
{{- $retired := 0 -}}
{{- range $index, $release := .Values.releases -}}
  {{- $at := printf "releases[%d]" $index -}}
  {{- $state := .state | default "live" -}}
  {{- if hasKey $seen .version }}
- {{ $at }}.version: {{ quote .version }} is listed twice
  {{- end -}}
  {{- $_ := set $seen .version true -}}
  {{- if and .until (has $state (list "staged" "live")) }}
- {{ $at }}.until: a {{ $state }} release does not end by itself; only a draining one does
  {{- end -}}
  {{- if and (eq $state "staged") (not $.Values.current) }}
- {{ $at }}.state: "staged" without current: requests without a version go to all pods, and nothing hides the staged ones
  {{- end -}}
  {{- if and $.Values.config.minVersion (not (include "skew-guard.isSemver" .version)) }}
- {{ $at }}.version: {{ quote .version }} is not semver, and config.minVersion compares all versions
  {{- end -}}
  {{- if eq $state "retired" -}}
    {{- $retired = add1 $retired -}}
  {{- else -}}
    {{- $served = add1 $served -}}
    {{- range .accepts -}}
      {{- if hasKey $accepted . }}
- {{ $at }}.accepts: {{ quote . }} is accepted by {{ get $accepted . }} too; only one can answer it
      {{- else if regexMatch "^[A-Za-z0-9._+-]+$" . -}}
        {{- $_ := set $accepted . $release.version -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq (int $served) 0 }}
- releases: all are retired; at least one has to serve
{{- else if gt (int $served) 256 }}
- releases: {{ $served }} are not retired; at most 256
{{- end -}}
{{- if gt (int $retired) 4096 }}
- releases: {{ $retired }} are retired; at most 4096, so leave out the oldest
{{- end -}}
{{- end }}

{{- define "skew-guard.problemsOfRoutes" -}}
{{- $absent := include "skew-guard.absent" . -}}
{{- $byRoute := dict -}}
{{- $byLabels := dict -}}
{{- range $index, $release := (include "skew-guard.releases" . | fromJson).list -}}
{{- if .routed -}}
  {{- $at := printf "releases[%d]" $index -}}
  {{- $labels := toJson .labels -}}
  {{- if eq .route $absent }}
- {{ $at }}.route: {{ quote .route }} is the name of the subset that must not exist; choose another one
  {{- else if hasKey $byRoute .route }}
- {{ $at }}.route: {{ quote .route }}{{ if not (index $.Values.releases $index).route }}, made from the version,{{ end }} is the route of {{ get $byRoute .route }} too; give one of them a different route
  {{- else if hasKey $byLabels $labels }}
- {{ $at }}.labels: {{ $labels }} are the labels of {{ get $byLabels $labels }} too; they must distinguish its pods from those of every other release
  {{- end -}}
  {{- $_ := set $byRoute .route .version -}}
  {{- $_ := set $byLabels $labels .version -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "skew-guard.problemsOfCurrent" -}}
{{- $current := (include "skew-guard.current" . | fromJson).list -}}
{{- $states := dict -}}
{{- $live := list -}}
{{- range .Values.releases -}}
  {{- $_ := set $states .version (.state | default "live") -}}
  {{- if eq (get $states .version) "live" -}}{{- $live = append $live .version -}}{{- end -}}
{{- end -}}
{{- $allowed := printf "current can be a live release: %s" (join ", " $live | trunc 200 | default "there is none") -}}
{{- $minimum := .Values.config.minVersion -}}
{{- $isList := kindIs "slice" .Values.current -}}
{{- $seen := dict -}}
{{- $total := 0 -}}
{{- range $index, $share := $current -}}
  {{- $at := ternary (printf "current[%d].version" $index) "current" $isList -}}
  {{- $state := get $states .version -}}
  {{- $isBelow := false -}}
  {{- if and $minimum (include "skew-guard.isSemver" .version) -}}
    {{- $isBelow = lt ((semver .version).Compare (semver $minimum)) 0 -}}
  {{- end -}}
  {{- if hasKey $seen .version }}
- {{ $at }}: {{ quote .version }} is listed twice
  {{- else if not $state }}
- {{ $at }}: {{ quote .version }} is not listed; {{ $allowed }}
  {{- else if ne $state "live" }}
- {{ $at }}: {{ quote .version }} is {{ $state }}; {{ $allowed }}
  {{- else if has .version ($.Values.config.denied | default list) }}
- {{ $at }}: {{ quote .version }} is in config.denied
  {{- else if $isBelow }}
- {{ $at }}: {{ quote .version }} is below config.minVersion
  {{- end -}}
  {{- $_ := set $seen .version true -}}
  {{- $total = add $total (int .weight) -}}
{{- end -}}
{{- if and $isList (eq (int $total) 0) }}
- current: all weights are 0; at least one has to be above
{{- end -}}
{{- if and $isList (not .Values.config.pinCookie) }}
- current: weights need config.pinCookie, or a visitor changes release with every request
{{- end -}}
{{- end }}

{{- define "skew-guard.problemsOfConfig" -}}
{{- $config := .Values.config -}}
{{- if and (eq ($config.unknownVersion | default "auto") "current") (not .Values.current) }}
- config.unknownVersion: "current" needs a current
{{- end -}}
{{- range $index, $source := $config.sources -}}
  {{- if eq (lower (get . "header")) (include "skew-guard.routeHeader" $) }}
- config.sources[{{ $index }}].header: {{ quote .header }} is the route header, which is removed from what clients send
  {{- end -}}
{{- end -}}
{{- with $config.pinCookie -}}
  {{- $isSecure := ne (toString .secure) "false" -}}
  {{- $isBoundToHost := and $isSecure (not .domain) (eq (.path | default "/") "/") -}}
  {{- if and (eq (.sameSite | default "Lax") "None") (not $isSecure) }}
- config.pinCookie.sameSite: browsers refuse None without secure
  {{- end -}}
  {{- if and (hasPrefix "__Secure-" .name) (not $isSecure) }}
- config.pinCookie.name: browsers refuse {{ quote .name }} without secure
  {{- end -}}
  {{- if and (hasPrefix "__Host-" .name) (not $isBoundToHost) }}
- config.pinCookie.name: browsers refuse {{ quote .name }} without secure, with a domain, or with another path than /
  {{- end -}}
  {{- if and $config.preview (eq .name (dig "preview" "cookie" "__preview" $config)) }}
- config.preview.cookie: {{ quote .name }} is the pinCookie too
  {{- end -}}
{{- end -}}
{{- end }}

{{- define "skew-guard.problemsOfServices" -}}
{{- $listed := list -}}
{{- range .Values.releases -}}{{- $listed = append $listed .version -}}{{- end -}}
{{- $byPath := dict -}}
{{- $byHost := dict -}}
{{- range $index, $service := .Values.services -}}
  {{- $at := printf "services[%d]" $index -}}
  {{- $host := include "skew-guard.fullHost" (dict "root" $ "service" .) -}}
  {{- if hasSuffix ".svc" .host }}
- {{ $at }}.host: Istio completes only names without dots, and does not find {{ quote .host }}; write {{ .host }}.cluster.local
  {{- end -}}
  {{- if and .namespace (not (contains "." .host)) (ne .namespace $.Release.Namespace) }}
- {{ $at }}.host: {{ quote .host }} means a different service in the namespace {{ .namespace }} than in the routes' namespace; write it in full
  {{- end -}}
  {{- if hasKey $byHost $host }}
- {{ $at }}.host: {{ quote .host }} is the service of services[{{ get $byHost $host }}] too; put all its paths there
  {{- else -}}
    {{- $_ := set $byHost $host $index -}}
  {{- end -}}
  {{- range $number, $path := .paths -}}
    {{- if hasKey $byPath . }}
- {{ $at }}.paths[{{ $number }}]: {{ quote . }} leads to {{ get $byPath . }} already
    {{- else -}}
      {{- $_ := set $byPath . $service.host -}}
    {{- end -}}
  {{- end -}}
  {{- range $number, $version := .releases -}}
    {{- if not (has . $listed) }}
- {{ $at }}.releases[{{ $number }}]: {{ quote . }} is not in releases
    {{- end -}}
  {{- end -}}
  {{- if and .probePath (ne (include "skew-guard.serviceOfPath" (dict "path" .probePath "root" $)) .host) }}
- {{ $at }}.probePath: {{ quote .probePath }} does not lead to {{ .host }}; choose a path below one of its paths
  {{- end -}}
  {{- if and .trafficPolicy (not (include "skew-guard.versioned" .)) }}
- {{ $at }}.trafficPolicy: a service that is not versioned gets no DestinationRule from the chart; write it yourself
  {{- end -}}
{{- end -}}
{{- end }}

{{- /* The host of the service that a request for this path reaches. */ -}}
{{- define "skew-guard.serviceOfPath" -}}
{{- $path := first (splitList "?" .path) -}}
{{- $found := "" -}}
{{- range (include "skew-guard.paths" .root | fromJson).list -}}
  {{- $prefix := printf "%s/" (trimSuffix "/" .path) -}}
  {{- if and (not $found) (or (eq $path .path) (hasPrefix $prefix $path)) -}}
    {{- $found = .service.host -}}
  {{- end -}}
{{- end -}}
{{- $found -}}
{{- end }}

{{- /* A gateway that cannot see a rule or the routes answers 503 or 404. */ -}}
{{- define "skew-guard.problemsOfExport" -}}
{{- if and .Values.exportTo .Values.plugin.create (not (has "*" .Values.exportTo)) -}}
  {{- $owners := append (splitList " " (include "skew-guard.ruleNamespaces" .)) .Release.Namespace -}}
  {{- $hidden := list -}}
  {{- range $plugin := (include "skew-guard.plugins" . | fromJson).list -}}
    {{- range $owner := without (uniq $owners) "" -}}
      {{- $isOwn := and (has "." $.Values.exportTo) (eq $owner $plugin.namespace) -}}
      {{- if not (or $isOwn (has $plugin.namespace $.Values.exportTo)) -}}
        {{- $hidden = append $hidden $plugin.namespace -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- range uniq $hidden }}
- exportTo: the gateways in {{ . }} would not see the routes and the rules; add {{ quote . }}
  {{- end -}}
{{- end -}}
{{- end }}

{{- define "skew-guard.isSemver" -}}
{{- if regexMatch "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$" . -}}true{{- end -}}
{{- end }}
