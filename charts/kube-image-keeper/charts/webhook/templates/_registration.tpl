{{/*
The webhook's registration. Context: root (the subchart's scope), rules (the umbrella's): what they leave alone by namespace and label is
not even sent. The webhook keeps selectors and conditions in step with its rules from then on, and adds what is not said here (modes, labels
and annotations to skip).
caBundle is never rendered here: the webhook makes its CA once and writes it itself; until then the API server cannot call it, and
failurePolicy Ignore admits every pod unchanged.
*/}}
{{- define "kuik.registration" -}}
{{- $v := .root.Values -}}
{{- $namespace := .root.Release.Namespace -}}
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
        {{- include "kuik.requirements" .rules.namespaceSelector }}
    objectSelector:
      matchExpressions:
        - { key: kube-image-keeper.enix.io/image-caching-policy, operator: NotIn, values: [ignore] }
        {{- include "kuik.requirements" .rules.podSelector }}
    matchConditions:
      - name: no-mirror
        expression: '!((object.metadata.?annotations[?"kubernetes.io/config.mirror"].hasValue()))'
      {{- if not .rules.rewriteNodeCritical }}
      - name: not-node-critical
        expression: '!((object.spec.?priorityClassName.orValue("") == "system-node-critical"))'
      {{- end }}
    rules:
      - { apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods], scope: Namespaced }
      - { apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [pods/ephemeralcontainers], scope: Namespaced }
{{- end }}

{{/* Conditions of a label selector, as list items. Context: the selector, or nothing. */}}
{{- define "kuik.requirements" -}}
{{- range $key, $value := (. | default dict).matchLabels }}
        - { key: {{ $key | quote }}, operator: In, values: [{{ $value | quote }}] }
{{- end }}
{{- with (. | default dict).matchExpressions }}
{{ toYaml . | indent 8 }}
{{- end }}
{{- end }}
