{{- define "skew-guard.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name -}}
{{- end -}}
{{- end }}

{{- /*
Two Helm releases of the same name, from two namespaces, must not clash: in another namespace than its own, a name
contains that of the release. No namespace has a dot, so `a.b-c` can be read in only one way.
*/ -}}
{{- define "skew-guard.nameIn" -}}
{{- $name := include "skew-guard.fullname" .root -}}
{{- if ne .namespace .root.Release.Namespace -}}
{{- $name = printf "%s.%s" .root.Release.Namespace $name -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "skew-guard.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
skew-guard/release-namespace: {{ .Release.Namespace }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* A Kubernetes service's host without the suffix that all of them share. */ -}}
{{- define "skew-guard.shortHost" -}}
{{- . | trimSuffix ".svc.cluster.local" -}}
{{- end }}

{{- /* The host in full, where Istio would complete it: of a name without a dot. */ -}}
{{- define "skew-guard.fullHost" -}}
{{- if contains "." .service.host -}}
{{- .service.host -}}
{{- else -}}
{{- printf "%s.%s.svc.cluster.local" .service.host .root.Release.Namespace -}}
{{- end -}}
{{- end }}

{{- /*
Where Istio looks for a service's DestinationRule on behalf of every caller: the namespace of the service. (In that of the
caller, too, and before; but a rule there is for callers from there only.)
*/ -}}
{{- define "skew-guard.ruleNamespace" -}}
{{- $written := regexFind "^[^.]+\\.[^.]+\\.svc\\." (include "skew-guard.fullHost" .) -}}
{{- if .service.namespace -}}
{{- .service.namespace -}}
{{- else if $written -}}
{{- index (splitList "." $written) 1 -}}
{{- else -}}
{{- .root.Release.Namespace -}}
{{- end -}}
{{- end }}

{{- /* Where the rules are: namespaces, a space between two. */ -}}
{{- define "skew-guard.ruleNamespaces" -}}
{{- $namespaces := list -}}
{{- range .Values.services -}}
  {{- if include "skew-guard.versioned" . -}}
    {{- $namespaces = append $namespaces (include "skew-guard.ruleNamespace" (dict "root" $ "service" .)) -}}
  {{- end -}}
{{- end -}}
{{- join " " (uniq $namespaces) -}}
{{- end }}

{{- /* The labels of a release's pods, for people. */ -}}
{{- define "skew-guard.podLabels" -}}
{{- $pairs := list -}}
{{- range $name, $value := .labels -}}
{{- $pairs = append $pairs (printf "%s: %s" $name $value) -}}
{{- end -}}
{{- join ", " $pairs -}}
{{- end }}
