{{/* The settings of the gateway: gateway.env of k8s/, then the values. */}}
{{- define "vitrine.settings" -}}
{{- $values := .Values }}
{{- $files := list "base" }}
{{- range include "vitrine.components" . | fromYamlArray }}{{ $files = append $files (printf "components/%s" .) }}{{ end }}
{{- $settings := dict }}
{{- range $files }}
{{- range compact (splitList "\n" ($.Files.Get (printf "k8s/%s/gateway.env" .))) }}
{{- $pair := splitn "=" 2 . }}
{{- $_ := set $settings $pair._0 $pair._1 }}
{{- end }}
{{- end }}
{{- with $values.gateway.workers }}{{ $_ := set $settings "VITRINE_WORKERS" (toString .) }}{{ end }}
{{- range $name, $value := $values.gateway.settings }}
{{- /* A large number of a file is a float here, which toString would write as 3e+07. */}}
{{- if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ $value = int64 $value }}{{ end }}{{ end }}
{{- $_ := set $settings $name (toString $value) }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* The components of k8s/ that change Deployments or settings, as a list. */}}
{{- define "vitrine.components" -}}
{{- $values := .Values }}
{{- $components := list }}
{{- if $values.modelServer.gpu.enabled }}{{ $components = append $components "gpu" }}{{ end }}
{{- if $values.exports.store.secret }}{{ $components = append $components "s3-exports" }}{{ end }}
{{- if $values.rateLimits.enabled }}{{ $components = append $components "redis" }}{{ end }}
{{- if $values.traces.enabled }}{{ $components = append $components "otel" }}{{ end }}
{{- if $values.oipGrpc.enabled }}{{ $components = append $components "oip-grpc" }}{{ end }}
{{- if $values.routing }}{{ $components = append $components "canary" }}{{ end }}
{{- toYaml $components }}
{{- end }}
