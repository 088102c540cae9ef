{{- define "provident-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The longest suffixes appended to it are "-binding-key" and "-emulator"; a Service name has at most 63 characters. */}}
{{- define "provident-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 51 | trimSuffix "-" }}
{{- else }}
{{- $name := include "provident-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 51 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 51 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Name of cluster-scoped objects. Releases of the same name in two namespaces must not share them. */}}
{{- define "provident-operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "provident-operator.fullname" .) }}
{{- end }}

{{- define "provident-operator.serviceAccount" -}}
{{- default (ternary (include "provident-operator.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "provident-operator.bindingKey" -}}
{{- default (printf "%s-binding-key" (include "provident-operator.fullname" .)) .Values.bindingKey.existingSecret }}
{{- end }}

{{- define "provident-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "provident-operator.emulatorImage" -}}
{{- $image := .Values.emulator.image }}
{{- $repository := default (printf "%s-emulator" .Values.image.repository) $image.repository }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (coalesce $image.tag .Values.image.tag .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "provident-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "provident-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "provident-operator.emulatorSelectorLabels" -}}
app.kubernetes.io/name: {{ include "provident-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: emulator
{{- end }}

{{/* Takes (dict "root" $ "component" "…"); the component defaults to operator. */}}
{{- define "provident-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "provident-operator.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ default "operator" .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: provident-operator
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "provident-operator.emulatorUrl" -}}
{{- $host := default (printf "%s-emulator.%s.svc" (include "provident-operator.fullname" .) .Release.Namespace) .Values.emulator.service.clusterIP -}}
http://{{ $host }}:8090
{{- end }}

{{- define "provident-operator.internalHosts" -}}
{{- $hosts := .Values.allowedInternalHosts }}
{{- if .Values.emulator.enabled }}
{{- $hosts = append $hosts (include "provident-operator.emulatorUrl" .) }}
{{- end }}
{{- join "," $hosts }}
{{- end }}

{{- define "provident-operator.ipFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes (dict "root" $ "skip" bool): whether to create objects of the Prometheus Operator's kinds. */}}
{{- define "provident-operator.monitoringIsPresent" -}}
{{- if or (not .skip) (.root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") }}true{{ end }}
{{- end }}

{{/* Rights in each watched namespace, or in all namespaces. */}}
{{- define "provident-operator.namespaceRules" -}}
- apiGroups: [oauth.provident.ae]
  resources: [oauthclients]
  verbs: [get, list, watch, patch]   # patch: the finalizer
- apiGroups: [oauth.provident.ae]
  resources: [oauthclients/status]
  verbs: [patch]
- apiGroups: [oauth.provident.ae]
  resources: [providentconnections]
  verbs: [get, list, watch]
- apiGroups: [oauth.provident.ae]
  resources: [providentconnections/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, {{ if .Values.secrets.watch }}list, watch, {{ end }}create, update]
- apiGroups: [""]
  resources: [configmaps]   # caConfigMapRef
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [namespaces]   # labels for access rules, and whether it is being deleted
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.rolloutRestart.enabled }}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [patch]
{{- end }}
{{- end }}

{{/* Checks that the schema cannot express. */}}
{{- define "provident-operator.validate" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- fail "replicas: more than one needs leaderElection.enabled: true" }}
{{- end }}
{{- if and .Values.prometheusRule.enabled (not .Values.prometheusRule.runbookUrl) }}
{{- fail "prometheusRule.runbookUrl: set it to the URL where you publish docs/operations.md" }}
{{- end }}
{{- if and (not .Values.clusterConnections.enabled) (not .Values.watchNamespaces) }}
{{- fail "clusterConnections.enabled: false needs watchNamespaces" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "podMonitor.enabled: the metrics would be scraped twice. Enable either serviceMonitor or podMonitor" }}
{{- end }}
{{- end }}
