{{/* Rendered by the umbrella chart, which alone knows the settings: their checksum restarts the pods when they change. */}}
{{- define "kuik.workload.monitor" -}}
{{- $http := list (dict "name" "http" "containerPort" 8080) -}}
{{ include "kuik.deployment" (dict "root" .root "settings" .settings "component" "monitor" "kube" true "broker" true "smallMemory" true "ports" $http) }}
{{- end }}
