{{/* Rendered by the umbrella chart, which alone knows the settings: their checksum restarts the pods when they change. */}}
{{- define "kuik.workload.image-copier" -}}
{{- $http := list (dict "name" "http" "containerPort" 8080) -}}
{{ include "kuik.deployment" (dict "root" .root "settings" .settings "component" "image-copier" "kube" true "broker" true "ports" $http) }}
{{- end }}
