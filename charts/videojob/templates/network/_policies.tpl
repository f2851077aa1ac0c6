{{/* Egress by which names are resolved. */}}
{{- define "videojob.dnsEgress" -}}
{{- $dns := .Values.networkPolicies.dns -}}
- to:
    - namespaceSelector: {}
      podSelector:
        {{- toYaml $dns.podSelector | nindent 8 }}
    {{- range $dns.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    - {protocol: UDP, port: {{ $dns.port }}}
    - {protocol: TCP, port: {{ $dns.port }}}
{{- end -}}

{{/* Egress that every part needs: names, and the API server. Its address is no label's: it runs outside of the pod network. */}}
{{- define "videojob.egress" -}}
{{- include "videojob.dnsEgress" . }}
- to:
    {{- range .Values.networkPolicies.apiServer.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range .Values.networkPolicies.apiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* Egress to the model hub. */}}
{{- define "videojob.hubEgress" -}}
{{- if .Values.networkPolicies.hub.enabled -}}
- to:
    {{- range .Values.networkPolicies.hub.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    - {protocol: TCP, port: 443}
{{- end -}}
{{- end -}}

{{/* Egress to the S3 service; its port is the endpoint's, unless its pods have others: plugins look at the port that a Service leads to. */}}
{{- define "videojob.storageEgress" -}}
{{- $url := urlParse (.Values.storage.endpoint | default "https://s3.amazonaws.com") -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "http" | ternary "80" "443") -}}
- to:
    {{- range .Values.networkPolicies.storage.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
    {{- with .Values.networkPolicies.storage.podSelector }}
    - namespaceSelector: {}
      podSelector:
        {{- toYaml . | nindent 8 }}
    {{- end }}
  ports:
    {{- range .Values.networkPolicies.storage.ports | default (list $port) }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* Head of a NetworkPolicy. Takes a dict: root, part, namespace, selector (YAML). */}}
{{- define "videojob.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "videojob.fullname" .root }}-{{ .part }}
  namespace: {{ .namespace }}
  labels:
    {{- include "videojob.labels" (list .root .part) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- .selector | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* Labels that select the pods of VideoJobs, which the operator makes. */}}
{{- define "videojob.rendererSelector" -}}
app.kubernetes.io/name: videojob-renderer
app.kubernetes.io/managed-by: videojob-operator
{{- end -}}
