#!/bin/sh
# A hook of every container of a node: /proc is the container's own there, and would show the machine's boot id. BOOT_ID is
# the node's. The container's state comes on standard input; its root is not yet the root.
bundle=$(sed -n 's/.*"bundle": *"\([^"]*\)".*/\1/p')
exec mount --bind -o ro "$1" "$bundle/rootfs/proc/sys/kernel/random/boot_id"
