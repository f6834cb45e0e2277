{{/*
The settings of one service as YAML. Secrets are never in here: settings name the files they are mounted as.
Context: root (the umbrella chart's scope), service.
*/}}
{{- define "kuik.settings" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $proxyNamespace := include "kuik.proxyNamespace" $root -}}
{{- $to := $v.global.connections -}}
{{- $proxy := index $v "node-proxy" -}}
{{- $prefixes := list (printf "localhost:%d" ($proxy.port | int)) -}}
{{- $keys := "/etc/kuik/keys" -}}
{{- $signed := dict "keyFile" (printf "%s/registry.key" $keys) "certificateFile" (printf "%s/registry.crt" $keys) -}}
{{- $writer := merge (dict "url" ($to.cacheWriterUrl | default (printf "http://kuik-registry.%s.svc:5000" $namespace))) $signed -}}
{{- $reader := merge (dict "url" ($to.cacheReaderUrl | default (printf "http://kuik-registry.%s.svc:5010" $namespace))) $signed -}}
{{- $nats := dict "url" ($to.natsUrl | default (printf "nats://kuik-nats.%s.svc:4222" $namespace)) "nkeyFile" (printf "%s/nkey" $keys) -}}
{{- $redis := dict "url" ($to.redisUrl | default (printf "redis://kuik-redis.%s.svc:6379" $namespace)) "username" (printf "kuik-%s" .service) "passwordFile" (printf "%s/redis-password" $keys) -}}
{{- $lease := dict "namespace" $namespace -}}
{{- $broker := dict "tokenFile" "/var/run/kuik/broker/token" -}}
{{- $callers := dict
  "nodeProxies" (list (printf "%s/kuik-node-proxy" $proxyNamespace))
  "services" (list (printf "%s/kuik-image-copier" $namespace) (printf "%s/kuik-monitor" $namespace))
-}}
{{- $listen := list (printf "127.0.0.1:%d" ($proxy.port | int)) (printf "[::1]:%d" ($proxy.port | int)) -}}
{{- $own := dict
  "webhook" (dict "namespace" $namespace "proxyPrefixes" $prefixes "rules" $v.rules)
  "pod-watcher" (dict "redis" $redis "lease" $lease "broker" $callers "proxyPrefixes" $prefixes "registries" $v.registries "addressPolicy" $v.addressPolicy "expiry" $v.expiry)
  "image-copier" (dict "redis" $redis "cache" $writer "broker" $broker "registries" $v.registries "pace" $v.pace "addressPolicy" $v.addressPolicy)
  "monitor" (dict "redis" $redis "lease" $lease "broker" $broker "registries" $v.registries "pace" $v.pace "addressPolicy" $v.addressPolicy)
  "gc" (dict "lease" $lease "cache" $writer)
  "node-proxy" (dict "listen" $listen "http" (dict "host" $proxy.httpHost "port" ($proxy.httpPort | int)) "cache" $reader "broker" $broker "registries" $v.registries "addressPolicy" $v.addressPolicy)
-}}
{{- $settings := merge (dict "nats" $nats) (deepCopy (index $own .service)) -}}
{{- toYaml (mergeOverwrite $settings (deepCopy ((index $v .service).settings | default dict))) -}}
{{- end }}

{{/* Ends the rendering when a part is neither in the chart nor named by a URL. */}}
{{- define "kuik.checkConnections" -}}
{{- $to := .Values.global.connections -}}
{{- if not (or .Values.nats.enabled $to.natsUrl) }}{{ fail "nats.enabled is false: set global.connections.natsUrl (nats://host:4222)" }}{{ end -}}
{{- if not (or .Values.redis.enabled $to.redisUrl) }}{{ fail "redis.enabled is false: set global.connections.redisUrl (redis://host:6379)" }}{{ end -}}
{{- if not (or .Values.registry.enabled (and $to.cacheWriterUrl $to.cacheReaderUrl)) }}{{ fail "registry.enabled is false: set global.connections.cacheWriterUrl and cacheReaderUrl (http://host:5000)" }}{{ end -}}
{{- end }}
