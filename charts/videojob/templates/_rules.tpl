{{/* What each part may do in the served namespaces, as the rules of its Role. */}}

{{- define "videojob.operatorRules" -}}
# "delete" is for ttlSecondsAfterFinished.
- {apiGroups: [videojob.dev], resources: [videojobs], verbs: [get, list, watch, delete]}
- {apiGroups: [videojob.dev], resources: [videojobs/status], verbs: [patch]}
# Clusters with OwnerReferencesPermissionEnforcement ask for this from whoever names a blocking owner of a Job.
- {apiGroups: [videojob.dev], resources: [videojobs/finalizers], verbs: [update]}
- {apiGroups: [batch], resources: [jobs], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [""], resources: [pods], verbs: [list, watch]}
# Read to explain why a job does not run: quota, Pod Security and volumes are told of in Events only.
- {apiGroups: [""], resources: [events], verbs: [create, list]}
- {apiGroups: [kueue.x-k8s.io], resources: [workloads], verbs: [list]}
{{- if .Values.operator.failLostPods }}
- {apiGroups: [""], resources: [pods/status], verbs: [patch]}
{{- end }}
{{- end -}}

{{- define "videojob.apiRules" -}}
# patch: to cancel a job is to set spec.cancel.
- {apiGroups: [videojob.dev], resources: [videojobs], verbs: [get, list, watch, create, patch, delete]}
{{- if eq (include "videojob.rendererAccess" .) "broker" }}
# To see that the renderer whose token is shown is there, and which VideoJob it renders.
- {apiGroups: [""], resources: [pods], verbs: [get]}
{{- end }}
{{- end -}}

{{/* No get: it would show every prompt of the namespace. A merge patch needs none. */}}
{{- define "videojob.rendererRules" -}}
- {apiGroups: [videojob.dev], resources: [videojobs/status], verbs: [patch]}
{{- end -}}
