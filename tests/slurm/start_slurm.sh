#!/usr/bin/env bash
# Start a Slurm cluster of this one machine for a test:  start_slurm.sh start|stop FOLDER
#
# Needs root and Debian's packages slurm-wlm and munge, and a machine that belongs to no cluster yet. Everything the
# daemons write is below FOLDER, but for munge's socket and key, whose places are fixed (a key that is there is used,
# and else made). /etc/slurm gets links to FOLDER until `stop`: Snakemake's executor keeps SLURM_CONF from its jobs.
# The cluster pretends to have two GPUs, which jobs can ask for and not use.
set -euo pipefail
action=${1:?start or stop} folder=$(realpath -m "${2:?a folder}")
settings=(slurm.conf gres.conf)

stop() {
  local daemon name number
  for daemon in slurmd slurmctld munged; do
    if [ -s "$folder/$daemon.pid" ]; then
      number=$(cat "$folder/$daemon.pid")
      kill "$number" 2>/dev/null || true
      # Gone before the folder is: a daemon writes its state when it ends.
      for _ in $(seq 40); do
        if grep --quiet --extended-regexp '^State:\s+[^Z]' "/proc/$number/status" 2>/dev/null; then sleep 0.25; fi
      done
    fi
  done
  for name in "${settings[@]}"; do
    if [ "$(readlink "/etc/slurm/$name")" = "$folder/$name" ]; then rm "/etc/slurm/$name"; fi
  done
}

start_munge() {
  munge --no-input >/dev/null 2>&1 && return
  install -d -o munge -g munge -m 755 /run/munge
  [ -s /etc/munge/munge.key ] ||
    install -o munge -g munge -m 400 <(head --bytes 1024 /dev/urandom) /etc/munge/munge.key
  install -d -o munge -g munge "$folder/munge"
  runuser -u munge -- munged --pid-file "$folder/munge/munged.pid" --log-file "$folder/munge/munged.log" \
    --seed-file "$folder/munge/munged.seed"
  ln -sf munge/munged.pid "$folder/munged.pid"
}

configure() {
  local node memory
  node=$(hostname --short)
  memory=$(awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)
  mkdir -p "$folder/state" "$folder/spool"
  chmod 755 "$folder"
  cat >"$folder/slurm.conf" <<CONFIGURATION
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=${SLURM_TEST_PORT:-26817}
SlurmdPort=$((${SLURM_TEST_PORT:-26817} + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
MinJobAge=900
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONFIGURATION
  # Files that are there on any machine stand for the devices; nothing is confined to them.
  printf 'NodeName=%s Name=gpu File=%s\n' "$node" /dev/null "$node" /dev/zero >"$folder/gres.conf"
}

if [ "$action" = stop ]; then
  stop
  exit
fi
mkdir -p "$folder" /etc/slurm
configure
for name in "${settings[@]}"; do ln -s "$folder/$name" "/etc/slurm/$name"; done
start_munge
slurmctld
slurmd
for _ in $(seq 60); do
  if sinfo --noheader --format %t 2>/dev/null | grep --quiet --extended-regexp '^(idle|mix)'; then exit; fi
  sleep 0.5
done
tail --lines 20 "$folder"/slurmctld.log "$folder"/slurmd.log >&2
stop
exit 1
