{{/* Rendered by the umbrella chart, which alone knows the settings: their checksum restarts the pods when they change. */}}
{{- define "kuik.workload.gc" -}}
{{ include "kuik.deployment" (dict "root" .root "settings" .settings "service" .service) }}
{{- end }}
