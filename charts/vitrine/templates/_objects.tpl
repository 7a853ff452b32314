{{/* Objects of k8s/: the chart's templates read, change and print them. A change is made in place. */}}

{{/* All objects of a file, as a list under the key "list". Input: root, file. */}}
{{- define "vitrine.read" -}}
{{- $list := list }}
{{- range splitList "\n---\n" (required (printf "the chart lacks %s" .file) (.root.Files.Get .file)) }}
{{- $list = append $list (fromYaml .) }}
{{- end }}
{{- toYaml (dict "list" $list) }}
{{- end }}

{{/* Merge a patch into an object as kustomize does: lists of named items by their name, null removes. Input: target, patch. */}}
{{- define "vitrine.merge" -}}
{{- $target := .target }}
{{- range $key, $value := .patch }}
{{- $old := get $target $key }}
{{- if kindIs "invalid" $value }}
{{- $_ := unset $target $key }}
{{- else if and (kindIs "map" $value) (kindIs "map" $old) }}
{{- include "vitrine.merge" (dict "target" $old "patch" $value) }}
{{- else if and (kindIs "slice" $value) (kindIs "slice" $old) (kindIs "map" (first $value)) (or (hasKey (first $value) "name") (hasKey (first $value) "mountPath")) }}
{{- $by := ternary "mountPath" "name" (hasKey (first $value) "mountPath") }}
{{- $merged := list }}
{{- $rest := $old }}
{{- range $item := $value }}
{{- $found := $item }}
{{- range $old }}
{{- if eq (get . $by) (get $item $by) }}
{{- include "vitrine.merge" (dict "target" . "patch" $item) }}
{{- $found = . }}
{{- $rest = without $rest . }}
{{- end }}
{{- end }}
{{- $merged = append $merged $found }}
{{- end }}
{{- $_ := set $target $key (concat $merged $rest) }}
{{- else }}
{{- $_ := set $target $key $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* Merge a patch file of a component into a Deployment. Input: root, object, component. */}}
{{- define "vitrine.patch" -}}
{{- $file := printf "k8s/components/%s/%s.yaml" .component .object.metadata.name }}
{{- with .root.Files.Get $file }}
{{- include "vitrine.merge" (dict "target" $.object "patch" (fromYaml .)) }}
{{- end }}
{{- end }}

{{/* The regular expression of namespaces in alerts and dashboard. */}}
{{- define "vitrine.namespaces" -}}
{{- ternary "vitrine.*" .Release.Namespace (hasPrefix "vitrine" .Release.Namespace) }}
{{- end }}

{{/* Set the namespace from which a policy allows traffic; any address without one. Input: policy, namespace. */}}
{{- define "vitrine.from" -}}
{{- $rule := first .policy.spec.ingress }}
{{- if .namespace }}
{{- $_ := set (first $rule.from).namespaceSelector "matchLabels" (dict "kubernetes.io/metadata.name" .namespace) }}
{{- else }}
{{- $_ := unset $rule "from" }}
{{- end }}
{{- end }}

{{/* Print an object in the release's namespace. Input: root, object. */}}
{{- define "vitrine.print" -}}
{{- $labels := dict "app.kubernetes.io/part-of" "vitrine" }}
{{- $_ := set .object.metadata "labels" (merge (default dict .object.metadata.labels) $labels) }}
{{- $_ := set .object.metadata "namespace" .root.Release.Namespace }}
---
{{ toYaml .object }}
{{ end }}
