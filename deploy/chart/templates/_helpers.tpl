{{/* What everything is called. There is one agent on a node, so the name of the release has no part in it. */}}
{{- define "bpf2iam.name" -}}
{{- .Values.fullnameOverride | default .Chart.Name -}}
{{- end -}}

{{/* By these the DaemonSet knows its pods, and they never change. `bpf2iam doctor` names the first. */}}
{{- define "bpf2iam.selector" -}}
app.kubernetes.io/name: bpf2iam
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bpf2iam.labels" -}}
{{ include "bpf2iam.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* Not empty if tokens are minted for pods. */}}
{{- define "bpf2iam.mintsTokens" -}}
{{- if ne .Values.credentials "assume-role" }}yes{{ end -}}
{{- end -}}

{{- define "bpf2iam.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What contradicts itself, which no schema can say. */}}
{{- define "bpf2iam.check" -}}
{{- $v := .Values -}}
{{- if not (hasPrefix (printf "%s/" (trimSuffix "/" $v.bpffs)) $v.pinDir) -}}
{{- fail (printf "pinDir %s is not below bpffs %s: only that is mounted from the node" $v.pinDir $v.bpffs) -}}
{{- end -}}
{{- $surge := dig "rollingUpdate" "maxSurge" 0 $v.updateStrategy | toString | trimSuffix "%" -}}
{{- $unavailable := dig "rollingUpdate" "maxUnavailable" 1 $v.updateStrategy | toString | trimSuffix "%" -}}
{{- if eq (dig "type" "RollingUpdate" $v.updateStrategy) "OnDelete" -}}
{{- $surge = "0" -}}
{{- else if eq (eq $surge "0") (eq $unavailable "0") -}}
{{- fail "updateStrategy.rollingUpdate: Kubernetes takes a maxSurge or a maxUnavailable, one of them and not both; the other one is to be 0" -}}
{{- end -}}
{{- $fixed := list -}}
{{- if $v.listenPort }}{{ $fixed = append $fixed "listenPort" }}{{ end -}}
{{- range $v.extraArgs -}}
{{- if regexMatch "^--(app|listen)-port(=|$)" . }}{{ $fixed = append $fixed (printf "%s in extraArgs" .) }}{{ end -}}
{{- end -}}
{{- range $v.extraEnv -}}
{{- if eq .name "BPF2IAM_LISTEN_PORT" }}{{ $fixed = append $fixed (printf "%s in extraEnv" .name) }}{{ end -}}
{{- end -}}
{{- if and $fixed (ne $surge "0") -}}
{{- fail (printf "%s: with a fixed port, two agents cannot run on a node during an upgrade; leave it out, or set updateStrategy.rollingUpdate to maxSurge: 0 and maxUnavailable: 1 (pods are refused while their agent is replaced)" (join ", " $fixed)) -}}
{{- end -}}
{{- include "bpf2iam.between" (list "lease" $v.lease "1s" "1h") -}}
{{- include "bpf2iam.between" (list "sessionDuration" $v.sessionDuration "15m" "12h") -}}
{{- if and $v.autoDiscoverBaseArn $v.baseRoleArn -}}
{{- fail "autoDiscoverBaseArn and baseRoleArn: give one of them" -}}
{{- end -}}
{{- if and $v.autoDiscoverDefaultRole $v.defaultRole -}}
{{- fail "autoDiscoverDefaultRole and defaultRole: give one of them" -}}
{{- end -}}
{{- end -}}

{{/* Refuses a duration, NAME VALUE LEAST MOST, that the agent would refuse. A number is seconds. Empty is the agent's own default. */}}
{{- define "bpf2iam.between" -}}
{{- $value := index . 1 | toString -}}
{{- if regexMatch "^[0-9]+$" $value }}{{ $value = printf "%ss" $value }}{{ end -}}
{{- if $value -}}
{{- $seconds := list -}}
{{- range list $value (index . 2) (index . 3) -}}
{{- $seconds = append $seconds (toDate "2006" "2000" | mustDateModify . | unixEpoch | int64) -}}
{{- end -}}
{{- if or (lt (index $seconds 0) (index $seconds 1)) (gt (index $seconds 0) (index $seconds 2)) -}}
{{- fail (printf "%s: %s is not from %s to %s" (index . 0) (index . 1 | toString) (index . 2) (index . 3)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The agent's settings, as variables and not as flags: `bpf2iam doctor`, `status`, `ready` and `uninstall`, run in the container,
read the same ones. BPF2IAM_ and the flag's name in capitals; in values.yaml it is in camel case. What is empty is not
said, and the agent's own default holds. YAML reads `off` as false.
*/}}
{{- define "bpf2iam.settings" -}}
{{- $settings := list
  "adminListen" "allowPath" "autoDiscoverBaseArn" "autoDiscoverDefaultRole" "availabilityZone" "baseRoleArn" "cgroupRoot"
  "clusterArn" "clusterName" "compat" "credentials" "defaultRole" "iamExternalId" "iamRoleKey" "imdsTokens" "kubepods"
  "lease" "listenPort" "logFormat" "logLevel" "metadataAddr" "namespaceKey" "namespaceRestrictionFormat"
  "namespaceRestrictions" "netnsDir" "nodeRoleFor" "pinDir" "sessionDuration" "sessionName" "sessionTags" "whenAgentGone"
-}}
{{- $offs := list "adminListen" "metadataAddr" "sessionTags" -}}
{{- range $setting := $settings -}}
{{- $value := index $.Values $setting -}}
{{- if kindIs "slice" $value }}{{ $value = join "," $value }}{{ end -}}
{{- if and (kindIs "bool" $value) (has $setting $offs) (not $value) }}{{ $value = "off" }}{{ end -}}
{{- if $value }}
- name: BPF2IAM_{{ $setting | snakecase | upper }}
  value: {{ $value | toString | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
