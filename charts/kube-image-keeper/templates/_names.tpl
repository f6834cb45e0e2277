{{/* Labels of every object; `component` is the service or part. */}}
{{- define "kuik.labels" -}}
app.kubernetes.io/name: kube-image-keeper
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | default .root.Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/*
What each service's folder declares, as JSON: a list, `services`. Written by scripts/generate.ts.
*/}}
{{- define "kuik.services" -}}
{"services": {{ .Files.Get "files/services.json" }}}
{{- end }}

{{/* The node proxy needs the host's network: it lives in a namespace of its own that allows it. */}}
{{- define "kuik.proxyNamespace" -}}
{{ printf "%s-proxy" .Release.Namespace | trunc 63 }}
{{- end }}

{{- define "kuik.namespaceOf" -}}
{{ if eq .service.runs "on-each-node" }}{{ include "kuik.proxyNamespace" .root }}{{ else }}{{ .root.Release.Namespace }}{{ end }}
{{- end }}
