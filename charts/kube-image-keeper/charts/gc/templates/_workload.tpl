{{/* Rendered by the umbrella chart, which alone knows the settings: their checksum restarts the pods when they change. */}}
{{- define "kuik.workload.gc" -}}
{{- $http := list (dict "name" "http" "containerPort" 8080) -}}
{{ include "kuik.deployment" (dict "root" .root "settings" .settings "component" "gc" "kube" true "broker" false "smallMemory" true "ports" $http) }}
{{- end }}
