{{/* Apply the values to a Deployment of k8s/. Input: root, object. */}}
{{- define "vitrine.deployment" -}}
{{- $values := .root.Values }}
{{- $object := .object }}
{{- $name := $object.metadata.name }}
{{- $gpu := $values.modelServer.gpu }}
{{- if ne $name "redis" }}
{{- range include "vitrine.components" .root | fromYamlArray }}
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
{{- $zones := dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $pods "matchLabelKeys" (list "app.kubernetes.io/name") }}
{{- $_ := set $pod "topologySpreadConstraints" (append $pod.topologySpreadConstraints $zones) }}
{{- end }}
{{- with $own.resources }}{{ $_ := set $main "resources" . }}{{ end }}
{{- $settings := printf "%s%s" (.root.Files.Get "k8s/base/model-server/monitoring.config") (.root.Files.Get "k8s/base/model-server/batching.config") }}
{{- if eq $name "gateway" }}{{ $settings = include "vitrine.settings" .root }}{{ end }}
{{- $_ := set $object.spec.template.metadata "annotations" (dict "checksum/settings" (sha256sum $settings)) }}
{{- $_ := unset $pod "nodeSelector" }}
{{- with $own.nodeSelector }}{{ $_ := set $pod "nodeSelector" . }}{{ end }}
{{- with $own.tolerations }}{{ $_ := set $pod "tolerations" (concat (default list $pod.tolerations) .) }}{{ end }}
{{- if $values.exports.store.verifyKey }}{{ include "vitrine.signed" (dict "pod" $pod "secret" $values.exports.store.verifyKey) }}{{ end }}
{{- end }}
{{- if and $values.oipGrpc.enabled (eq $name "gateway") }}
{{- $_ := set $main "ports" (append $main.ports (dict "name" "grpc" "containerPort" 8001)) }}
{{- end }}
{{- if $values.openshift }}
{{- range list "runAsUser" "runAsGroup" "fsGroup" }}{{ $_ := unset $pod.securityContext . }}{{ end }}
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

{{/* The component signed: the sidecar copies only versions with the signature. Input: pod, secret. */}}
{{- define "vitrine.signed" -}}
{{- range .pod.initContainers }}
{{- if eq .name "sync" }}
{{- $_ := set . "env" (list (dict "name" "VITRINE_VERIFY_KEY" "value" "/etc/vitrine/verify/verify.pem")) }}
{{- $_ := set . "volumeMounts" (append .volumeMounts (dict "name" "verify-key" "mountPath" "/etc/vitrine/verify" "readOnly" true)) }}
{{- end }}
{{- end }}
{{- $_ := set .pod "volumes" (append .pod.volumes (dict "name" "verify-key" "secret" (dict "secretName" .secret))) }}
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
