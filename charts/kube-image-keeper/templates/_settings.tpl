{{/*
The settings of one service as YAML: the sections that it declares, and what is its own. Secrets are never in here: settings name the files
they are mounted as. Context: root (the umbrella chart's scope), service (what its folder declares).
*/}}
{{- define "kuik.settings" -}}
{{- $root := .root -}}
{{- $name := .service.name -}}
{{- $v := $root.Values -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $to := $v.global.connections -}}
{{- $proxy := index $v "node-proxy" -}}
{{- $prefixes := list (printf "localhost:%d" ($proxy.port | int)) -}}
{{- $keys := "/etc/kuik/keys" -}}
{{- $signed := dict "keyFile" (printf "%s/registry.key" $keys) "certificateFile" (printf "%s/registry.crt" $keys) -}}
{{- $caches := dict
  "writer" (dict "url" ($to.cacheWriterUrl | default (printf "http://kuik-registry.%s.svc:5000" $namespace)))
  "reader" (dict "url" ($to.cacheReaderUrl | default (printf "http://kuik-registry.%s.svc:5010" $namespace)))
-}}
{{- $sections := dict
  "redis" (dict "url" ($to.redisUrl | default (printf "redis://kuik-redis.%s.svc:6379" $namespace)) "username" (printf "kuik-%s" $name) "passwordFile" (printf "%s/redis-password" $keys))
  "lease" (dict "namespace" $namespace)
  "broker" (dict "tokenFile" "/var/run/kuik/broker/token")
  "registries" $v.registries
  "proxyPrefixes" $prefixes
-}}
{{- $settings := dict "nats" (dict "url" ($to.natsUrl | default (printf "nats://kuik-nats.%s.svc:4222" $namespace)) "nkeyFile" (printf "%s/nkey" $keys)) -}}
{{- range .service.needs }}{{ if hasKey $sections . }}{{ $_ := set $settings . (index $sections .) }}{{ end }}{{ end -}}
{{- if has "registries" .service.needs }}{{ $_ := set $settings "addressPolicy" $v.addressPolicy }}{{ $_ := set $settings "httpProxy" $v.httpProxy }}{{ end -}}
{{- if has "rules" .service.needs }}{{ $_ := set $settings "rulesFile" "/etc/kuik/rules/rules.yaml" }}{{ end -}}
{{- with .service.cache }}{{ $_ := set $settings "cache" (merge (index $caches .) $signed) }}{{ end -}}
{{- if eq (.service.cache | default "") "writer" }}{{ $_ := set $settings.cache "readersCertificateFile" (printf "%s/readers.crt" $keys) }}{{ end -}}
{{- with .service.grants }}
{{- $_ := set $settings "privateImages" (merge (dict "certificateFile" (printf "%s/grants.crt" $keys)) (ternary (dict "keyFile" (printf "%s/grants.key" $keys)) dict (eq . "signer")) (ternary $v.global.privateImages (pick $v.global.privateImages "mode" "grace" "unknownWhenDown") (eq . "signer"))) }}
{{- end -}}
{{- $listen := list (printf "127.0.0.1:%d" ($proxy.port | int)) (printf "[::1]:%d" ($proxy.port | int)) -}}
{{- $watcher := index $v "pod-watcher" -}}
{{- $kinds := list -}}
{{- range $watcher.usage.kinds }}{{ $kinds = append $kinds (omit . "resource") }}{{ end -}}
{{- $usage := merge (dict "kinds" $kinds) $watcher.usage -}}
{{- $own := dict
  "webhook" (dict "namespace" $namespace "admission" $v.admission "privateImages" (pick $v.global.privateImages "mode"))
  "pod-watcher" (dict "broker" (include "kuik.credentialRequesters" $root | fromJson) "expiry" $v.expiry "platforms" $v.platforms "usage" $usage)
  "image-copier" (dict "pace" $v.pace "transfers" (dict "folder" "/var/spool/kuik" "spoolBytes" (mul (int (index $v "image-copier").spoolGiB) 1073741824)))
  "monitor" (dict "pace" $v.pace)
  "node-proxy" (dict "listen" $listen "http" (dict "host" $proxy.httpHost "port" ($proxy.httpPort | int)))
-}}
{{- $settings = merge $settings (deepCopy (index $own $name | default dict)) -}}
{{- toYaml (mergeOverwrite $settings (deepCopy ((index $v $name).settings | default dict))) -}}
{{- end }}

{{/* ServiceAccounts that ask the broker: those on each node for their own pods' repositories only. */}}
{{- define "kuik.credentialRequesters" -}}
{{- $requesters := dict "nodeProxies" list "services" list -}}
{{- range (include "kuik.services" . | fromJson).services -}}
{{- if has "broker" .needs -}}
{{- $kind := ternary "nodeProxies" "services" (eq .runs "on-each-node") -}}
{{- $_ := set $requesters $kind (append (index $requesters $kind) (printf "%s/kuik-%s" (include "kuik.namespaceOf" (dict "root" $ "service" .)) .name)) -}}
{{- end -}}
{{- end -}}
{{- toJson $requesters -}}
{{- end }}

{{/* Ends the rendering when a part is neither in the chart nor named by a URL. */}}
{{- define "kuik.checkConnections" -}}
{{- $to := .Values.global.connections -}}
{{- if not (or .Values.nats.enabled $to.natsUrl) }}{{ fail "nats.enabled is false: set global.connections.natsUrl (nats://host:4222)" }}{{ end -}}
{{- if not (or .Values.redis.enabled $to.redisUrl) }}{{ fail "redis.enabled is false: set global.connections.redisUrl (redis://host:6379)" }}{{ end -}}
{{- if not (or .Values.registry.enabled (and $to.cacheWriterUrl $to.cacheReaderUrl)) }}{{ fail "registry.enabled is false: set global.connections.cacheWriterUrl and cacheReaderUrl (http://host:5000)" }}{{ end -}}
{{- end }}
