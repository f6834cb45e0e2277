{{/*
The pod template of one of our services. Context: root (the subchart's scope), service (what its folder declares, files/services.json),
settings (YAML text), ports (absent: http on 8080), fieldEnv, lingerSeconds, hostNetwork, probeHost, spool (size limit of a folder /var/spool/kuik).
Secrets are mounted as files; the root file system is read-only; nothing runs as root.
*/}}
{{- define "kuik.podTemplate" -}}
{{- $v := .root.Values -}}
{{- $g := $v.global -}}
{{- $component := .service.name -}}
{{- $kube := has "kube" .service.needs -}}
{{- $broker := has "broker" .service.needs -}}
{{- $rules := has "rules" .service.needs -}}
metadata:
  labels: {{- include "kuik.labels" (dict "root" .root "component" $component) | nindent 4 }}
    {{- with $v.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    {{- /* What a running process follows restarts nobody. */}}
    checksum/settings: {{ omit (fromYaml .settings) "registries" "httpProxy" "addressPolicy" | toYaml | sha256sum | trunc 16 | quote }}
    {{- with $v.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: kuik-{{ $component }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $g.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  priorityClassName: {{ $v.priorityClassName | default "" | quote }}
  terminationGracePeriodSeconds: 30
  {{- if .hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: { type: RuntimeDefault }
  {{- with $v.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $v.affinity }}
  affinity: {{- toYaml $v.affinity | nindent 4 }}
  {{- else if gt (int ($v.replicas | default 1)) 1 }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{- include "kuik.selector" (dict "root" .root "component" $component) | nindent 16 }}
  {{- end }}
  {{- with $v.initContainers }}
  initContainers: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ $component }}
      image: {{ printf "%s:%s" $g.image.repository ($g.image.tag | default .root.Chart.Version) | quote }}
      imagePullPolicy: {{ $g.image.pullPolicy }}
      args: [{{ $component | quote }}]
      env:
        - { name: KUIK_CONFIG, value: /etc/kuik/config/config.yaml }
        - { name: LOG_LEVEL, value: {{ $g.logLevel | quote }} }
        {{- range $name, $value := .service.env }}
        - { name: {{ $name }}, value: {{ $value | quote }} }
        {{- end }}
        {{- range $name, $path := .fieldEnv }}
        - name: {{ $name }}
          valueFrom: { fieldRef: { fieldPath: {{ $path }} } }
        {{- end }}
        {{- with $v.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      ports: {{- toYaml (.ports | default (list (dict "name" "http" "containerPort" 8080))) | nindent 8 }}
      {{- with .lingerSeconds }}
      lifecycle:
        preStop: { exec: { command: [sleep, {{ . | quote }}] } }
      {{- end }}
      {{- $host := .probeHost | default "" }}
      livenessProbe:
        httpGet: { path: /healthz, port: http{{ with $host }}, host: {{ . | quote }}{{ end }} }
        periodSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: http{{ with $host }}, host: {{ . | quote }}{{ end }} }
        periodSeconds: 3
      startupProbe:
        httpGet: { path: /healthz, port: http{{ with $host }}, host: {{ . | quote }}{{ end }} }
        periodSeconds: 1
        failureThreshold: 60
      resources: {{- toYaml $v.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: config, mountPath: /etc/kuik/config, readOnly: true }
        {{- if $rules }}
        - { name: rules, mountPath: /etc/kuik/rules, readOnly: true }
        {{- end }}
        - { name: tmp, mountPath: /tmp }
        {{- if .spool }}
        - { name: spool, mountPath: /var/spool/kuik }
        {{- end }}
        - { name: keys, mountPath: /etc/kuik/keys, readOnly: true }
        {{- if $kube }}
        - { name: kube, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
        {{- end }}
        {{- if $broker }}
        - { name: broker, mountPath: /var/run/kuik/broker, readOnly: true }
        {{- end }}
        {{- with $v.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    - name: config
      configMap: { name: kuik-{{ $component }} }
    {{- if $rules }}
    - name: rules
      configMap: { name: kuik-rules }
    {{- end }}
    - name: tmp
      emptyDir: { sizeLimit: 64Mi }
    {{- with .spool }}
    - name: spool
      emptyDir: { sizeLimit: {{ . }} }
    {{- end }}
    - name: keys
      secret: { secretName: kuik-keys-{{ $component }}, defaultMode: 0440 }
    {{- if $kube }}
    - name: kube
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken: { path: token, expirationSeconds: 3607 }
          - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
          - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
    {{- end }}
    {{- if $broker }}
    - name: broker
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken: { path: token, audience: kuik-broker, expirationSeconds: 3607 }
    {{- end }}
    {{- with $v.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{/* Labels by which a workload finds its pods; never changed by an upgrade. */}}
{{- define "kuik.selector" -}}
app.kubernetes.io/name: kube-image-keeper
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* A Deployment of one of our services, with a PodDisruptionBudget when it has replicas. Context as kuik.podTemplate. */}}
{{- define "kuik.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: kuik-{{ .service.name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "kuik.labels" (dict "root" .root "component" .service.name) | nindent 4 }}
spec:
  replicas: {{ .root.Values.replicas }}
  selector:
    matchLabels: {{- include "kuik.selector" (dict "root" .root "component" .service.name) | nindent 6 }}
  template: {{- include "kuik.podTemplate" . | nindent 4 }}
{{- if gt (int .root.Values.replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: kuik-{{ .service.name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "kuik.labels" (dict "root" .root "component" .service.name) | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "kuik.selector" (dict "root" .root "component" .service.name) | nindent 6 }}
{{- end }}
{{- end }}
