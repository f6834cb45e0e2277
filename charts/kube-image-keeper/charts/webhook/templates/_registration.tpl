{{/*
The webhook's registration. Context: root (the subchart's scope), rules (the umbrella's): what they leave alone by namespace and label is
not even sent.
caBundle is never rendered here: the webhook makes its CA once and writes it itself; until then the API server cannot call it, and
failurePolicy Ignore admits every pod unchanged.
*/}}
{{- define "kuik.registration" -}}
{{- $v := .root.Values -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $namespaces := .rules.namespaceSelector | default dict -}}
{{- $pods := .rules.podSelector | default dict -}}
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: kuik-webhook
  labels: {{- include "kuik.labels" (dict "root" .root "component" "webhook") | nindent 4 }}
webhooks:
  - name: pods.kuik.enix.io
    clientConfig:
      {{- if $v.url }}
      url: {{ $v.url | quote }}
      {{- else }}
      service: { name: kuik-webhook, namespace: {{ $namespace }}, path: /mutate, port: 443 }
      {{- end }}
    admissionReviewVersions: [v1]
    failurePolicy: Ignore
    timeoutSeconds: {{ $v.timeoutSeconds }}
    reinvocationPolicy: IfNeeded
    sideEffects: NoneOnDryRun
    matchPolicy: Equivalent
    namespaceSelector:
      {{- with $namespaces.matchLabels }}
      matchLabels: {{- toYaml . | nindent 8 }}
      {{- end }}
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: NotIn
          values:
            - kube-system
            - {{ $namespace }}
            - {{ include "kuik.proxyNamespace" .root }}
            {{- range .rules.ignoreNamespaces }}
            - {{ . | quote }}
            {{- end }}
        {{- with $namespaces.matchExpressions }}{{ toYaml . | nindent 8 }}{{ end }}
    objectSelector:
      {{- with $pods.matchLabels }}
      matchLabels: {{- toYaml . | nindent 8 }}
      {{- end }}
      matchExpressions:
        - { key: kube-image-keeper.enix.io/image-caching-policy, operator: NotIn, values: [ignore] }
        {{- with $pods.matchExpressions }}{{ toYaml . | nindent 8 }}{{ end }}
    rules:
      - { apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods], scope: Namespaced }
      - { apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [pods/ephemeralcontainers], scope: Namespaced }
{{- end }}
