{{- define "skew-guard.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name -}}
{{- end -}}
{{- end }}

{{- define "skew-guard.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The ways to write one Kubernetes service's host in full or in short, as one. */ -}}
{{- define "skew-guard.shortHost" -}}
{{- . | trimSuffix ".cluster.local" | trimSuffix ".svc" -}}
{{- end }}

{{- /* The labels of a release's pods, to be read. */ -}}
{{- define "skew-guard.podLabels" -}}
{{- $pairs := list -}}
{{- range $name, $value := .labels -}}
{{- $pairs = append $pairs (printf "%s: %s" $name $value) -}}
{{- end -}}
{{- join ", " $pairs -}}
{{- end }}
