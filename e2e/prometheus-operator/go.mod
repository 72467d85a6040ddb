// The CRDs of the Prometheus operator: go.sum pins them, and nothing is built. See ../src/controlplane/toolset.rs.
module bottlerocket-update-operator/prometheus-operator

go 1.26
