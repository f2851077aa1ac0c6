{{/* Whether there is a cache of weights that pods share. */}}
{{- define "videojob.weightsClaim" -}}
{{- if .Values.weights.claim.create -}}
{{ include "videojob.fullname" . }}-weights
{{- else -}}
{{ .Values.weights.claim.existing }}
{{- end -}}
{{- end -}}

{{/* The volume of the cache, as JSON; empty: there is none. */}}
{{- define "videojob.weightsVolume" -}}
{{- $claim := include "videojob.weightsClaim" . -}}
{{- if $claim -}}
{{ dict "name" "weights" "persistentVolumeClaim" (dict "claimName" $claim) | toJson }}
{{- else if .Values.weights.hostPath -}}
{{ dict "name" "weights" "hostPath" (dict "path" .Values.weights.hostPath "type" "Directory") | toJson }}
{{- end -}}
{{- end -}}

{{/* Environment of whoever reads or fetches weights, as a JSON list. */}}
{{- define "videojob.weightsEnv" -}}
{{- $env := list -}}
{{- if include "videojob.weightsVolume" . -}}
{{- $env = append $env (dict "name" "VIDEOJOB_MODEL_CACHE" "value" .Values.weights.mountPath) -}}
{{- end -}}
{{- with .Values.weights.hubTokenSecret -}}
{{- $env = append $env (dict "name" "HF_TOKEN" "valueFrom" (dict "secretKeyRef" (dict "name" . "key" "HF_TOKEN"))) -}}
{{- end -}}
{{ $env | toJson }}
{{- end -}}

{{/* The profiles as the operator reads them: what `weights` asks for is added to each, before its own words. */}}
{{- define "videojob.profiles" -}}
{{- $volume := include "videojob.weightsVolume" . -}}
{{- $env := include "videojob.weightsEnv" . | fromJsonArray -}}
{{- if .Values.weights.offline -}}
{{- $env = append $env (dict "name" "HF_HUB_OFFLINE" "value" "1") -}}
{{- end -}}
{{- $profiles := dict -}}
{{- range $name, $profile := .Values.profiles -}}
{{- $profile = deepCopy $profile -}}
{{- $parallel := dig "speed" "cfgParallel" 1 $profile | int -}}
{{- if gt $parallel ($profile.gpus | default 1 | int) -}}
{{- fail (printf "profiles.%s.gpus must be at least speed.cfgParallel, %d" $name $parallel) -}}
{{- end -}}
{{- if $env -}}
{{- $_ := set $profile "env" (concat $env ($profile.env | default list)) -}}
{{- end -}}
{{- if $volume -}}
{{- $mount := dict "name" "weights" "mountPath" $.Values.weights.mountPath -}}
{{- $_ := set $profile "volumes" (prepend ($profile.volumes | default list) ($volume | fromJson)) -}}
{{- $_ := set $profile "volumeMounts" (prepend ($profile.volumeMounts | default list) $mount) -}}
{{- end -}}
{{- $_ := set $profiles $name $profile -}}
{{- end -}}
{{ $profiles | toPrettyJson }}
{{- end -}}
