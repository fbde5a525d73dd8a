#!/bin/bash
# The first process of a host under Pacemaker: bash, because it reaps what is left of others.
# pacemaker-host.sh NAME TOKEN_MS [OWN_LOCK SHARED_LOCK]...
set -eu
name=$1 token=$2
shift 2
hostname "$name"
mount --make-rprivate /
mount -t proc proc /proc
while [ $# -ge 2 ]; do mount --bind "$1" "$2"; shift 2; done
for place in /dev/shm /run /var/lib/pacemaker /var/lib/corosync /var/log /etc/corosync; do
    mkdir -p "$place"
    mount -t tmpfs tmpfs "$place"
done
mkdir -p /run/lock /run/resource-agents /run/crm /var/log/pacemaker/bundles /var/log/corosync \
    /var/log/crmsh /var/lib/pacemaker/{cib,pengine,blackbox,cores}
chown -R hacluster:haclient /var/lib/pacemaker /var/log/pacemaker /run/crm
chmod 750 /var/lib/pacemaker /var/lib/pacemaker/*
cat > /etc/corosync/corosync.conf <<C
totem {
  version: 2
  cluster_name: lab
  transport: knet
  token: $token
  crypto_cipher: none
  crypto_hash: none
}
logging {
  to_stderr: no
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
}
quorum {
  provider: corosync_votequorum
}
nodelist {
  node {
    name: a
    nodeid: 1
    ring0_addr: 10.77.0.1
  }
  node {
    name: b
    nodeid: 2
    ring0_addr: 10.77.0.2
  }
  node {
    name: c
    nodeid: 3
    ring0_addr: 10.77.0.3
  }
}
C
export PCMK_logfile=/var/log/pacemaker/pacemaker.log
corosync -f > /var/log/corosync.out 2>&1 &
sleep 1.5
pacemakerd -f > /var/log/pacemakerd.out 2>&1 &
while :; do sleep 100000 & wait $!; done
