#!/usr/bin/env bash
# Writes the configuration of the node's daemons to $RUN/etc. With CNI=ptp pods
# have plain veth pairs with one route each, as on EKS, in place of a bridge.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
mkdir -p "$RUN/etc" && cd "$RUN/etc"

cat >containerd.toml <<TOML
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'local/pause:1'
[plugins.'io.containerd.cri.v1.runtime']
  # root may lack CAP_SYS_RESOURCE
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['$BIN/cni', '$here/cni']
    conf_dir = '/etc/cni/net.d'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '$BIN/runc'
      SystemdCgroup = false
TOML

cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
failSwapOn: false
resolvConf: ""
staticPodPath: /etc/kubernetes/manifests
# Images are loaded once and cannot be pulled again.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
YAML

cat >proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: 10.244.0.0/16
hostnameOverride: $NODE
clientConnection: {kubeconfig: $PKI/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0}
YAML

if [ "${CNI:-bridge}" = ptp ]; then
	main='"type":"ptp"'
else
	main='"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true'
fi
cat >10-pods.conflist <<JSON
{"cniVersion":"1.0.0","name":"pods","plugins":[
 {"type":"mark","mark":"$MARK"},
 {$main,"ipMasq":false,"ipam":{"type":"host-local","dataDir":"/run/cni-ipam",
  "ranges":[[{"subnet":"$PODS"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
JSON
