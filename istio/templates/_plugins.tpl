{{- /*
{"list": [{…, namespace, selector, covers, resource}]}: what each plugin has of its own. One for each entry of `plugins`; where there
is none, the one that `selector` and `plugin` describe. `covers` are the gateways that its pods serve.
Where another installation makes them, it is one of the same name in the namespace of the pods.
*/ -}}
{{- define "skew-guard.plugins" -}}
{{- $list := list -}}
{{- range $entry := .Values.plugins | default (list (dict)) -}}
  {{- $plugin := deepCopy $.Values.plugin -}}
  {{- range $key, $value := $entry -}}
    {{- $_ := set $plugin $key $value -}}
  {{- end -}}
  {{- $_ := set $plugin "namespace" ($plugin.namespace | default $.Release.Namespace) -}}
  {{- $_ := set $plugin "selector" ($entry.selector | default $.Values.selector | default (dict "istio" "ingressgateway")) -}}
  {{- $_ := set $plugin "covers" ($entry.gateways | default $.Values.gateways) -}}
  {{- $resource := include "skew-guard.fullname" $ -}}
  {{- if $.Values.plugin.create -}}
    {{- $resource = include "skew-guard.nameIn" (dict "root" $ "namespace" $plugin.namespace) -}}
  {{- end -}}
  {{- with $entry.name -}}
    {{- $resource = printf "%s-%s" $resource . -}}
  {{- end -}}
  {{- $_ := set $plugin "resource" $resource -}}
  {{- $list = append $list $plugin -}}
{{- end -}}
{{- dict "list" $list | toJson -}}
{{- end }}

{{- /* Which of the pods' connections: a caller's sidecar chooses the release, not that of the pod which was chosen. */ -}}
{{- define "skew-guard.traffic" -}}
{{- $match := dict -}}
{{- if has "mesh" .covers -}}
  {{- $_ := set $match "mode" "CLIENT" -}}
{{- end -}}
{{- range .ports -}}
  {{- $_ := set $match "ports" (append ($match.ports | default list) (dict "number" (int .))) -}}
{{- end -}}
{{- if $match -}}
{{- toYaml (list $match) -}}
{{- end -}}
{{- end }}

{{- /* The module and its configuration: the fields that every kind of plugin resource has. */ -}}
{{- define "skew-guard.module" -}}
url: {{ .plugin.url | quote }}
{{- with .plugin.sha256 }}
sha256: {{ . | quote }}
{{- end }}
{{- if not (hasPrefix "file://" .plugin.url) }}
imagePullPolicy: {{ .plugin.imagePullPolicy }}
{{- end }}
{{- with .plugin.imagePullSecret }}
imagePullSecret: {{ . | quote }}
{{- end }}
failStrategy: {{ .plugin.failStrategy }}
pluginConfig:
  {{- include "skew-guard.pluginConfig" .root | nindent 2 }}
{{- end }}

{{- /* The resources that are the plugin, as skew-guard wait reads them: kind/namespace/name, a space between two. */ -}}
{{- define "skew-guard.pluginNames" -}}
{{- $names := list -}}
{{- range (include "skew-guard.plugins" . | fromJson).list -}}
  {{- $names = append $names (printf "%s/%s/%s" .kind .namespace .resource) -}}
{{- end -}}
{{- join " " $names -}}
{{- end }}
