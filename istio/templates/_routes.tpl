{{- /*
One HTTP route of the VirtualService. Takes path, service, name, subset (may be empty), header (name), value (of the
route header: "" for any, absent for no condition), statPrefix (may be empty) and corsPolicy.
*/ -}}
{{- define "skew-guard.httpRoute" -}}
- name: {{ .name | quote }}
  match:
    {{- if eq .path "/" }}
    {{- include "skew-guard.match" (merge (dict "uri" (dict "prefix" "/")) .) | nindent 4 }}
    {{- else }}
    {{- include "skew-guard.match" (merge (dict "uri" (dict "exact" .path)) .) | nindent 4 }}
    {{- include "skew-guard.match" (merge (dict "uri" (dict "prefix" (printf "%s/" .path))) .) | nindent 4 }}
    {{- end }}
  route:
    - destination:
        host: {{ .service.host | quote }}
        {{- with .subset }}
        subset: {{ . | quote }}
        {{- end }}
        port:
          number: {{ .service.port }}
  {{- with .service.http }}
  {{- include "skew-guard.httpFields" (dict "http" . "path" $.path) | nindent 2 }}
  {{- end }}
  {{- with .corsPolicy }}
  corsPolicy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* Istio's `prefix: /api` matches /apis too: a path of whole segments takes two conditions. */ -}}
{{- define "skew-guard.match" -}}
- uri:
    {{- toYaml .uri | nindent 4 }}
  {{- if hasKey . "value" }}
  headers:
    {{ .header }}: {{ if .value }}{exact: {{ .value | quote }}}{{ else }}{}{{ end }}
  {{- end }}
  {{- with .statPrefix }}
  statPrefix: {{ . | quote }}
  {{- end }}
{{- end }}

{{- /*
Istio's own fields of a service. `rewrite.uri` replaces what matched, which for /api/cart under /api would be `/api/`,
slash and all; written as a regular expression it replaces the path of the service.
*/ -}}
{{- define "skew-guard.httpFields" -}}
{{- $http := deepCopy .http -}}
{{- with dig "rewrite" "uri" "" .http -}}
  {{- $base := trimSuffix "/" . -}}
  {{- $regex := printf "^%s" (regexQuoteMeta $.path) -}}
  {{- if eq $.path "/" -}}
    {{- $base = printf "%s/" $base -}}
  {{- else if not $base -}}
    {{- $regex = printf "%s/?" $regex -}}
    {{- $base = "/" -}}
  {{- end -}}
  {{- $rewrite := omit $http.rewrite "uri" -}}
  {{- $_ := set $rewrite "uriRegexRewrite" (dict "match" $regex "rewrite" $base) -}}
  {{- $_ := set $http "rewrite" $rewrite -}}
{{- end -}}
{{- toYaml $http -}}
{{- end }}
