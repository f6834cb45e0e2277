{{/*
Rendered by the umbrella chart, which alone knows the settings: their checksum restarts the pods when they change. The spool's limit is above
what its files may take in sum: beyond it the kubelet ends the pod.
*/}}
{{- define "kuik.workload.image-copier" -}}
{{- $root := .root -}}
{{- $ports := list (dict "name" "http" "containerPort" 8080) (dict "name" "transfers" "containerPort" 7440) -}}
{{ include "kuik.deployment" (dict "root" $root "settings" .settings "service" .service "ports" $ports "spool" (printf "%dMi" (add (mul (int $root.Values.spoolGiB) 1024) 256))) }}
---
apiVersion: v1
kind: Service
metadata:
  name: kuik-image-copier
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "kuik.labels" (dict "root" $root "component" "image-copier") | nindent 4 }}
spec:
  clusterIP: None
  selector: {{- include "kuik.selector" (dict "root" $root "component" "image-copier") | nindent 4 }}
  ports:
    - { name: transfers, port: 7440, targetPort: transfers }
{{- end }}
