#!/usr/bin/env bash
# Run a command with a SLURM cluster of one node, this machine, whose daemons live in a folder and end with the command.
#   apt-get install slurmctld slurmd slurm-client munge        (root runs the daemons)
#   tests/cluster/slurm.sh FOLDER COMMAND ...
set -euo pipefail

mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
mkdir -p "$folder"/{state,spool,munge}
chmod 0755 "$folder" "$folder/munge"

# MUNGE passes who a call is from; its socket is named to every command of SLURM by the configuration.
(umask 077 && head -c 1024 /dev/urandom > "$folder/munge/key")
munge=(munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid"
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed")
# Jobs drop variables that start with SLURM, so the configuration has to be where SLURM looks for it.
configuration=/etc/slurm/slurm.conf
[ -e $configuration ] && { echo "$configuration: is there; this machine has a SLURM of its own, use that" >&2; exit 1; }
mkdir -p /etc/slurm
ln -s "$folder/slurm.conf" $configuration

end() {
    for daemon in slurmd slurmctld; do
        [ -e "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")" || true
    done
    "${munge[@]}" --stop || true
    rm -f $configuration
}
trap end EXIT

"${munge[@]}"
# -C prints the node's cores and memory as slurmd itself finds them.
node=$(slurmd -C | head -1)
name=$(sed -E 's/NodeName=([^ ]+).*/\1/' <<< "$node")
cat > "$folder/slurm.conf" << END
ClusterName=here
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# What sacct cannot tell without a database, scontrol tells for this long after a job's end.
MinJobAge=600
JobCompType=jobcomp/none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
$node NodeAddr=127.0.0.1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END

slurmctld
slurmd
for _ in $(seq 60); do
    [ "$(sinfo --noheader --format %t 2> /dev/null)" = idle ] && break
    sleep 0.5
done
[ "$(sinfo --noheader --format %t)" = idle ] || { echo "no node became idle; see $folder/*.log" >&2; exit 1; }

"$@"
