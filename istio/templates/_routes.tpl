{{- /*
One HTTP route of the VirtualService. Takes paths, service, name, subset (may be empty), header (name), value (of the
route header: "" for any, absent for no condition), statPrefix (may be empty) and corsPolicy.
*/ -}}
{{- define "skew-guard.httpRoute" -}}
- name: {{ .name | quote }}
  match:
    - uri:
        {{- include "skew-guard.uri" .paths | nindent 8 }}
      {{- if hasKey . "value" }}
      headers:
        {{ .header }}: {{ if .value }}{exact: {{ .value | quote }}}{{ else }}{}{{ end }}
      {{- end }}
      {{- with .statPrefix }}
      statPrefix: {{ . | quote }}
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
  {{- include "skew-guard.httpFields" (dict "http" . "paths" $.paths) | nindent 2 }}
  {{- end }}
  {{- with .corsPolicy }}
  corsPolicy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /*
One condition for all paths of a group, because each condition is a route to Envoy. It looks at the header first, so that
the expression is tried for the release that was asked for only. Istio's `prefix: /api` would match /apis, too.
*/ -}}
{{- define "skew-guard.uri" -}}
{{- if eq (first .) "/" -}}
prefix: /
{{- else -}}
{{- $paths := list -}}
{{- range . -}}{{- $paths = append $paths (regexQuoteMeta .) -}}{{- end -}}
{{- $one := join "|" $paths -}}
{{- if gt (len $paths) 1 -}}{{- $one = printf "(%s)" $one -}}{{- end -}}
regex: {{ printf "%s(/.*)?" $one | quote }}
{{- end -}}
{{- end }}

{{- /*
Istio's own fields of a service. `rewrite.uri` replaces what matched, which for /api/cart under /api would be `/api/`,
slash and all; written as a regular expression it replaces the path of the service.
*/ -}}
{{- define "skew-guard.httpFields" -}}
{{- $http := deepCopy .http -}}
{{- with dig "rewrite" "uri" "" .http -}}
  {{- $base := trimSuffix "/" . -}}
  {{- $regex := printf "^%s" (regexQuoteMeta (first $.paths)) -}}
  {{- if eq (first $.paths) "/" -}}
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
