{{- define "optiinfra.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "optiinfra.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* What selects the pods of one component: call with (list $ "api"). */}}
{{- define "optiinfra.selector" -}}
app.kubernetes.io/name: optiinfra
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "optiinfra.labels" -}}
{{ include "optiinfra.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{/* The variables of every process, as a map. */}}
{{- define "optiinfra.variables" -}}
{{- $name := include "optiinfra.name" . }}
{{- $origins := list (printf "http://%s-dagster-webserver:3000" $name) }}
{{- range list .Values.api.ingress .Values.dagster.webserver.ingress }}
{{- if .enabled }}{{ $origins = append $origins (printf "%s://%s" (ternary "https" "http" (ne .tlsSecret "")) .host) }}{{ end }}
{{- end }}
{{- $dagster := .Values.dagster.url | default (printf "http://%s-dagster-webserver:3000" $name) }}
{{- $ours := dict "OPTIINFRA_SECRETS_FOLDER" "/run/secrets/optiinfra" "OPTIINFRA_DAGSTER_URL" $dagster "OPTIINFRA_WEB_ORIGINS" (join "," $origins) }}
{{- with .Values.api.ingress }}{{ if .enabled }}{{ $_ := set $ours "OPTIINFRA_PUBLIC_URL" (printf "%s://%s" (ternary "https" "http" (ne .tlsSecret "")) .host) }}{{ end }}{{ end }}
{{- with .Values.clickhouse.cluster }}{{ $_ := set $ours "OPTIINFRA_CLICKHOUSE_CLUSTER" . }}{{ end }}
{{- with .Values.api.trustedProxies }}{{ $_ := set $ours "FORWARDED_ALLOW_IPS" . }}{{ end }}
{{- mergeOverwrite $ours (deepCopy .Values.settings) | toYaml }}
{{- end }}

{{- define "optiinfra.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "optiinfra.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A pod of one process. Call with a map: root, component, command, and, where they differ, serviceAccount, resources, ports, probes, scratch, replaced. */}}
{{- define "optiinfra.pod" -}}
{{- $root := .root }}
{{- $name := include "optiinfra.name" $root }}
metadata:
  labels: {{- include "optiinfra.labels" (list $root .component) | nindent 4 }}
  annotations:
    optiinfra/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ .serviceAccount | default "default" }}
  automountServiceAccountToken: {{ .usesKubernetes | default false }}
  enableServiceLinks: false
  securityContext: {{- include "optiinfra.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .graceSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- if .spreads }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector: {matchLabels: {{ include "optiinfra.selector" (list $root .component) | fromYaml | toJson }}}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "optiinfra.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: {{- toYaml .command | nindent 8 }}
      env:
        {{- range $key, $value := include "optiinfra.variables" $root | fromYaml }}
        - {name: {{ $key }}, value: {{ $value | quote }}}
        {{- end }}
        - {name: DAGSTER_CURRENT_IMAGE, value: {{ include "optiinfra.image" $root | quote }}}
      {{- with .port }}
      ports: [{name: {{ .name }}, containerPort: {{ .number }}}]
      {{- end }}
      {{- with .probes }}{{ . | nindent 6 }}{{ end }}
      {{- with .resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext: {{- include "optiinfra.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: secret, mountPath: /run/secrets/optiinfra, readOnly: true}
        - {name: temporary, mountPath: /tmp}
        - {name: dagster-home, mountPath: /var/lib/dagster}
        {{- if .configured }}
        - {name: dagster, mountPath: /var/lib/dagster/dagster.yaml, subPath: dagster.yaml, readOnly: true}
        - {name: dagster, mountPath: /var/lib/dagster/workspace.yaml, subPath: workspace.yaml, readOnly: true}
        {{- end }}
  volumes:
    - name: secret
      secret: {secretName: {{ required "secret: name an existing Secret with the addresses and keys" $root.Values.secret }}, defaultMode: 0440}
    - name: temporary
      emptyDir: {sizeLimit: {{ .scratch | default "1Gi" }}}
    - name: dagster-home
      emptyDir: {sizeLimit: 1Gi}
    {{- if .configured }}
    - name: dagster
      configMap: {name: {{ $name }}-dagster}
    {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
