{{/* Names of the models that are fetched, as a JSON list. */}}
{{- define "videojob.fetchedModels" -}}
{{- .Values.weights.fetch.models | default (list .Values.defaultModel) | toJson -}}
{{- end -}}

{{/* Names of the models in S3 that no Job fetches, so that renderers need keys for them, as a JSON list. What is staged has no revision there. */}}
{{- define "videojob.unstagedModels" -}}
{{- $models := .Values.models -}}
{{- $staged := list -}}
{{- if .Values.weights.fetch.enabled -}}
{{- range include "videojob.fetchedModels" . | fromJsonArray -}}
{{- $staged = append $staged (index $models . | default dict).source -}}
{{- end -}}
{{- end -}}
{{- $unstaged := list -}}
{{- range $name, $model := $models -}}
{{- if and (hasPrefix "s3://" $model.source) (or $model.revision (not (has $model.source $staged))) -}}
{{- $unstaged = append $unstaged $name -}}
{{- end -}}
{{- end -}}
{{ $unstaged | toJson }}
{{- end -}}

{{/* The pod of a Job that fetches a model. Takes a dict: root, arguments. */}}
{{- define "videojob.fetchPod" -}}
{{- $fetch := .root.Values.weights.fetch -}}
{{- $own := list -}}
{{- range $fetch.env }}{{ $own = append $own .name }}{{ end -}}
metadata:
  labels:
    {{- include "videojob.selector" (list .root "weights") | nindent 4 }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "videojob.fullname" .root }}-fetch
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- include "videojob.podSecurity" .root | nindent 4 }}
  {{- include "videojob.pullSecrets" .root | nindent 2 }}
  {{- with $fetch.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $fetch.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: fetch
      image: {{ include "videojob.image" (list .root .root.Values.renderer.image) }}
      imagePullPolicy: {{ .root.Values.renderer.image.pullPolicy }}
      args: {{ toJson .arguments }}
      envFrom:
        - configMapRef: {name: {{ include "videojob.storageName" .root }}}
        {{- with include "videojob.storageSecret" .root }}
        - secretRef: {name: {{ . }}}
        {{- end }}
      env:
        {{- /* A variable that `env` has is left to it. */}}
        {{- range prepend (include "videojob.weightsEnv" .root | fromJsonArray) (dict "name" "HF_HOME" "value" "/tmp/huggingface") }}
        {{- if not (has .name $own) }}
        - {{ toJson . }}
        {{- end }}
        {{- end }}
        {{- with $fetch.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml $fetch.resources | nindent 8 }}
      securityContext:
        {{- include "videojob.containerSecurity" .root | nindent 8 }}
      volumeMounts:
        - {name: weights, mountPath: {{ .root.Values.weights.mountPath }}}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - {{ include "videojob.weightsVolume" .root }}
    - name: tmp
      emptyDir: {}
{{- end -}}
