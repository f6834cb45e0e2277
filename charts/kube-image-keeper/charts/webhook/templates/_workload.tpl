{{/* Rendered by the umbrella chart, which alone knows the settings: their checksum restarts the pods when they change. */}}
{{- define "kuik.workload.webhook" -}}
{{- $ports := list (dict "name" "http" "containerPort" 8080) (dict "name" "admission" "containerPort" 9443) -}}
{{- /* The API server learns a little later than the pod that it ends: until then it goes on answering. */ -}}
{{ include "kuik.deployment" (dict "root" .root "settings" .settings "service" .service "lingerSeconds" 3 "ports" $ports) }}
{{- end }}
