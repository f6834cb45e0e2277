{{/*
Rendered by the umbrella chart, which alone knows the settings. On the host's network: both ports are the node's own, and as long as httpHost
is a loopback address nothing of the proxy can be reached from outside the node.
*/}}
{{- define "kuik.workload.node-proxy" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $pull := dict "name" "pull" "containerPort" ($v.port | int) "hostPort" ($v.port | int) "hostIP" "127.0.0.1" -}}
{{- $http := dict "name" "http" "containerPort" ($v.httpPort | int) "hostPort" ($v.httpPort | int) "hostIP" $v.httpHost -}}
{{- $probeHost := ternary "" $v.httpHost (eq $v.httpHost "0.0.0.0") -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: kuik-node-proxy
  namespace: {{ include "kuik.proxyNamespace" $root }}
  labels: {{- include "kuik.labels" (dict "root" $root "component" "node-proxy") | nindent 4 }}
spec:
  selector:
    matchLabels: {{- include "kuik.selector" (dict "root" $root "component" "node-proxy") | nindent 6 }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 10% }
  template: {{- include "kuik.podTemplate" (dict "root" $root "settings" .settings "service" .service "hostNetwork" true "probeHost" $probeHost "fieldEnv" (dict "KUIK_NODE" "spec.nodeName") "ports" (list $pull $http)) | nindent 4 }}
{{- end }}
