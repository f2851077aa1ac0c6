{{/* Name of all objects, at most 40 characters: the names of the parts are added to it. */}}
{{- define "videojob.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Labels that select the pods of a part. Takes (list $ "part"). */}}
{{- define "videojob.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of every object of a part. Takes (list $ "part"). */}}
{{- define "videojob.labels" -}}
{{- $root := index . 0 -}}
{{ include "videojob.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: videojob
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Image reference of a part: a digest wins over a tag. Takes (list $ .Values.PART.image). */}}
{{- define "videojob.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.imageRegistry -}}{{ . }}/{{- end -}}
{{ $image.repository }}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag | default $root.Chart.AppVersion }}{{- end -}}
{{- end -}}

{{/* Names of the served namespaces, as a JSON list. */}}
{{- define "videojob.namespaces" -}}
{{- .Values.namespaces | default (list .Release.Namespace) | toJson -}}
{{- end -}}

{{/* Namespaces that need the storage settings: the renderers' and the API's own, as a JSON list. */}}
{{- define "videojob.storageNamespaces" -}}
{{- append .Values.namespaces .Release.Namespace | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Name of the ConfigMap and, where the chart makes it, of the Secret of the storage. */}}
{{- define "videojob.storageName" -}}
{{ include "videojob.fullname" . }}-storage
{{- end -}}

{{/* Name of the Secret with the S3 keys; empty: workload identity. */}}
{{- define "videojob.storageSecret" -}}
{{- if .Values.storage.existingSecret -}}
{{ .Values.storage.existingSecret }}
{{- else if .Values.storage.accessKeyId -}}
{{ include "videojob.storageName" . }}
{{- end -}}
{{- end -}}

{{/* Whether the release has an API at all; empty: it has no pods. */}}
{{- define "videojob.apiRuns" -}}
{{- if or .Values.api.autoscaling.enabled (gt (int .Values.api.replicas) 0) }}true{{ end -}}
{{- end -}}

{{/* Whether the API listens where no other pod reaches it; empty: others do. */}}
{{- define "videojob.apiOnLoopback" -}}
{{- if has .Values.api.host (list "127.0.0.1" "::1" "localhost") }}true{{ end -}}
{{- end -}}

{{/* How the kubelet probes the API: it calls the pod's address, which does not reach a loopback in the pod's own network. */}}
{{- define "videojob.apiProbeHandler" -}}
{{- .Values.api.probeHandler | default (ternary "exec" "httpGet" (eq (include "videojob.apiOnLoopback" .) "true")) -}}
{{- end -}}

{{/* Command that asks the API for a path from within its container, as JSON; no proxy is asked. Takes (list $ "/path"). */}}
{{- define "videojob.apiProbe" -}}
{{- $api := (index . 0).Values.api -}}
{{- $ask := printf "import http.client as h; c = h.HTTPConnection(%q, %d, timeout=5); c.request('GET', %q); exit(c.getresponse().status != 200)" $api.host (int $api.port) (index . 1) -}}
{{ list "python" "-c" $ask | toJson }}
{{- end -}}

{{/* How renderers reach the bucket: broker or secret. An API that nobody can reach signs nothing, and none signs for weights. */}}
{{- define "videojob.rendererAccess" -}}
{{- $staged := not (include "videojob.unstagedModels" . | fromJsonArray) -}}
{{- $reached := or .Values.storage.brokerUrl (not (include "videojob.apiOnLoopback" .)) -}}
{{- if .Values.storage.rendererAccess -}}
{{ .Values.storage.rendererAccess }}
{{- else if and $reached $staged (include "videojob.apiRuns" .) -}}
broker
{{- else -}}
secret
{{- end -}}
{{- end -}}

{{/* URL of the API for other pods. */}}
{{- define "videojob.apiUrl" -}}
{{ printf "http://%s-api.%s.svc:%d" (include "videojob.fullname" .) .Release.Namespace (int .Values.api.service.port) }}
{{- end -}}

{{/* URL under which renderers ask the API to sign for them. */}}
{{- define "videojob.brokerUrl" -}}
{{ .Values.storage.brokerUrl | default (include "videojob.apiUrl" .) }}
{{- end -}}

{{/* Labels and annotations of a pod. The checksum starts new pods when the configuration changes. Takes (list $ "part" .Values.PART). */}}
{{- define "videojob.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $part := index . 2 -}}
labels:
  {{- include "videojob.selector" (list $root (index . 1)) | nindent 2 }}
  app.kubernetes.io/part-of: videojob
  {{- with $part.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ include (print $root.Template.BasePath "/config.yaml") $root | sha256sum }}
  checksum/storage: {{ include (print $root.Template.BasePath "/storage.yaml") $root | sha256sum }}
  {{- with $part.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What every pod of the chart has in its spec; meets Pod Security "restricted". Takes (list $ "part" .Values.PART). */}}
{{- define "videojob.podSpec" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $part := index . 2 -}}
serviceAccountName: {{ include "videojob.fullname" $root }}-{{ $name }}
automountServiceAccountToken: true
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $part.terminationGracePeriodSeconds }}
securityContext:
  {{- include "videojob.podSecurity" $root | nindent 2 }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- include "videojob.pullSecrets" $root }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" (include "videojob.selector" (list $root $name) | fromYaml))) | toJson }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Security context of every pod of the chart. */}}
{{- define "videojob.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Secrets of the registry. */}}
{{- define "videojob.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Security context of every container of the chart. */}}
{{- define "videojob.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A namespaced Role and its binding to the service account of a part. Takes a dict: root, part, namespace, accountNamespace, rules (YAML). */}}
{{- define "videojob.role" -}}
{{- $name := printf "%s-%s" (include "videojob.fullname" .root) .part -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "videojob.labels" (list .root .part) | nindent 4 }}
rules:
  {{- .rules | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "videojob.labels" (list .root .part) | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .accountNamespace }}}
{{- end -}}
