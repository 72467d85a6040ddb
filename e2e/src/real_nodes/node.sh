# The first process of a real node, in namespaces of its own. It ends with the node: killed, as by a loss of power.
#
# NODE is the node's folder, KUBELET and CONTAINERD are those of its programs, IMAGES that of the archives it starts with,
# PROVIDER its name at the cloud.
set -eu

# Volumes have to reach containers that run already.
mount --make-rshared /
mount -t tmpfs -o mode=755 run /run
mkdir /run/lock
mkdir -p "$NODE/var/lib/kubelet" "$NODE/var/log/pods" "$NODE/var/log/containers" "$NODE/var/tmp"
ln -sfn /run "$NODE/var/run"
mount --bind "$NODE/var" /var

# What a Bottlerocket host shows: its API, the boot it is in, and its version. The link leads to whatever socket is there.
ln -s "$NODE/host/api.sock" /run/api.sock
mount --bind "$NODE/host/boot_id" /proc/sys/kernel/random/boot_id
mount --bind "$NODE/os-release" "$(readlink -f /etc/os-release)"

# A kubelet sets some variables of the whole machine, unless it finds them as it wants them.
for file in "$NODE"/sysctl/*; do
    variable=$(basename "$file")
    mount --bind -o ro "$file" "/proc/sys/$(echo "$variable" | tr . /)"
done

ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip address add "$ADDRESS/24" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"
# shellcheck disable=SC2086 # pairs of words
set -- $ROUTES
while [ $# -gt 1 ]; do
    ip route add "$1" via "$2" dev eth0
    shift 2
done
echo 1 >/proc/sys/net/ipv4/ip_forward

"$CONTAINERD/containerd" --config "$NODE/containerd.toml" >>"$NODE/log/containerd.log" 2>&1 &
until "$CONTAINERD/ctr" version >/dev/null 2>&1; do sleep 0.1; done
if [ ! -e "$NODE/imported" ]; then
    for image in "$IMAGES"/*.tar; do
        "$CONTAINERD/ctr" --namespace k8s.io images import --local "$image"
    done
    touch "$NODE/imported"
fi
"$KUBELET/kube-proxy" --config "$NODE/kube-proxy.json" --hostname-override "$NAME" >>"$NODE/log/kube-proxy.log" 2>&1 &
# Like a unit of systemd: it comes back.
while :; do
    "$KUBELET/kubelet" --config "$NODE/kubelet.json" --kubeconfig "$KUBECONFIG" --node-ip "$ADDRESS" \
        --hostname-override "$NAME" --node-labels "$LABELS" >>"$NODE/log/kubelet.log" 2>&1 || :
    sleep 1
done &
echo "the node is up"
while :; do sleep 3600 & wait $!; done
