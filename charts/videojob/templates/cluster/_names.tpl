{{/* Name of an object of the whole cluster: two releases of one name may live in two namespaces. Takes (list $ "what"). */}}
{{- define "videojob.clusterName" -}}
{{- $root := index . 0 -}}
{{ include "videojob.fullname" $root }}.{{ $root.Release.Namespace }}.{{ index . 1 }}
{{- end -}}

{{/* User name of the operator. */}}
{{- define "videojob.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "videojob.fullname" . }}-operator
{{- end -}}

{{/* The binding of a policy: to the served namespaces, by the label that Kubernetes itself puts on each. Takes (list $ "what"). */}}
{{- define "videojob.policyBinding" -}}
{{- $root := index . 0 -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "videojob.clusterName" . }}
  labels:
    {{- include "videojob.labels" (list $root "policies") | nindent 4 }}
spec:
  policyName: {{ include "videojob.clusterName" . }}
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: In, values: {{ include "videojob.namespaces" $root }}}
{{- end -}}
