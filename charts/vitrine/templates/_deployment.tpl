{{/* Apply the values to a Deployment of k8s/. Input: root, object. */}}
{{- define "vitrine.deployment" -}}
{{- $values := .root.Values }}
{{- $object := .object }}
{{- $name := $object.metadata.name }}
{{- $gpu := $values.modelServer.gpu }}
{{- $components := list }}
{{- if $gpu.enabled }}{{ $components = append $components "gpu" }}{{ end }}
{{- if $values.exports.store.secret }}{{ $components = append $components "s3-exports" }}{{ end }}
{{- if $values.rateLimits.enabled }}{{ $components = append $components "redis" }}{{ end }}
{{- if $values.traces.enabled }}{{ $components = append $components "otel" }}{{ end }}
{{- range $components }}
{{- if not (and (eq . "redis") (eq $name "redis")) }}
{{- include "vitrine.patch" (dict "root" $.root "object" $object "component" .) }}
{{- end }}
{{- end }}
{{- $pod := $object.spec.template.spec }}
{{- $main := first $pod.containers }}
{{- $own := dict }}
{{- if eq $name "gateway" }}{{ $own = $values.gateway }}{{ end }}
{{- if eq $name "model-server" }}{{ $own = $values.modelServer }}{{ end }}
{{- if and $gpu.enabled (eq $name "model-server") }}
{{- $_ := set $main "args" (concat $main.args (list "--enable_batching=true" "--batching_parameters_file=/etc/vitrine/batching.config")) }}
{{- $_ := set $main "livenessProbe" (dict "httpGet" (dict "path" "/livez" "port" 8502) "periodSeconds" 20 "timeoutSeconds" 30 "failureThreshold" 3) }}
{{- range $part := list "requests" "limits" }}
{{- $resources := get $main.resources $part }}
{{- $_ := unset $resources "nvidia.com/gpu" }}
{{- $_ := set $resources $gpu.resource 1 }}
{{- end }}
{{- end }}
{{- if $own }}
{{- if $values.autoscaling.enabled }}
{{- $_ := unset $object.spec "replicas" }}
{{- $_ := set $main.resources.requests "cpu" "1" }}
{{- else }}
{{- $_ := set $object.spec "replicas" $own.replicas }}
{{- end }}
{{- if $values.spreadZones }}
{{- $pods := dict "matchLabels" (dict "app.kubernetes.io/part-of" "vitrine") }}
{{- $zones := dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $pods }}
{{- $_ := set $pod "topologySpreadConstraints" (append $pod.topologySpreadConstraints $zones) }}
{{- end }}
{{- with $own.resources }}{{ $_ := set $main "resources" . }}{{ end }}
{{- $annotations := dict "checksum/settings" (toYaml (list $values.gateway.settings $values.gateway.workers) | sha256sum) }}
{{- $_ := set $object.spec.template.metadata "annotations" $annotations }}
{{- end }}
{{- range concat (default list $pod.initContainers) $pod.containers }}
{{- $_ := set . "image" (include "vitrine.image" (dict "root" $.root "image" .image)) }}
{{- range .envFrom }}
{{- if .secretRef }}{{ $_ := set .secretRef "name" $values.exports.store.secret }}{{ end }}
{{- end }}
{{- end }}
{{- range $pod.volumes }}
{{- if .persistentVolumeClaim }}{{ $_ := set .persistentVolumeClaim "claimName" $values.exports.claim.name }}{{ end }}
{{- if eq .name "keys" }}{{ $_ := set .secret "secretName" $values.keys.secret }}{{ end }}
{{- end }}
{{- with $values.priorityClassName }}{{ $_ := set $pod "priorityClassName" . }}{{ end }}
{{- $_ := set $object.spec.template.metadata.labels "app.kubernetes.io/part-of" "vitrine" }}
{{- end }}

{{/* The full name of an image of k8s/. Input: root, image. */}}
{{- define "vitrine.image" -}}
{{- $values := .root.Values }}
{{- $server := $values.modelServer }}
{{- if hasPrefix "vitrine/" .image }}
{{- $name := trimPrefix "vitrine/" .image }}
{{- if eq $name "model-server" }}
{{- $name = default (ternary "model-server-gpu" "model-server" $server.gpu.enabled) $server.image }}
{{- end }}
{{- printf "%s/%s:%s" (default "vitrine" $values.image.registry) $name (default .root.Chart.AppVersion $values.image.tag) }}
{{- else }}
{{- $values.rateLimits.image }}
{{- end }}
{{- end }}
