#!/usr/bin/env bash
# deploy/slurm on a Slurm of one node, made for this test in a folder of its own: real images in
# three shards, merged, must be the bytes of one run; a task that is told to stop goes on where it was.
#
# Exit code 77: it cannot run here, and says why (Debian: apt-get install slurm-wlm munge).
# CONSILIUM_EXTRACT: the program. CONSILIUM_SHARED_DIR: the folder of the reference images.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
images="$CONSILIUM_SHARED_DIR/reference/radiomics/data/pyradiomics"
sarcoma="$CONSILIUM_SHARED_DIR/data/sts_mr_t1/nifti"
PATH="$PATH:/usr/sbin:/sbin"
export CONSILIUM_EXTRACT
skip() { echo "skipped: $1"; exit 77; }
for tool in munged slurmctld slurmd sbatch srun; do
  command -v "$tool" >/dev/null || skip "$tool is not installed; apt-get install slurm-wlm munge"
done
((EUID == 0)) || skip "slurmd starts tasks as root; this is $(id -un)"
for folder in "$images" "$sarcoma"; do [[ -d "$folder" ]] || skip "$folder is not there"; done

scratch="$(mktemp -d)"
daemons=()
clean_up() {
  local code=$?
  trap - EXIT INT TERM
  if ((code != 0)); then tail -n 20 "$scratch"/log/*.log "$scratch"/*/*.log 2>/dev/null || true; fi
  ((${#daemons[@]})) && kill "${daemons[@]}" 2>/dev/null
  [[ -s "$scratch/munge/pid" ]] && kill "$(cat "$scratch/munge/pid")" 2>/dev/null
  wait 2>/dev/null || true
  rm -rf -- "$scratch"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
fail() { echo "FAILED: $1" >&2; exit 1; }
# srun_within SECONDS WHAT OPTIONS...: until Slurm has run a task of nothing, which waits for what it needs.
srun_within() {
  local seconds="$1" what="$2"
  shift 2
  timeout "$seconds" srun --quiet --mem=1 "$@" true || fail "$what did not happen"
}
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  fail "no free port between 20000 and 32000"
}

# ---- a cluster of this machine
mkdir -m 755 "$scratch"/{munge,log,state,spool}
chmod 755 "$scratch"
head -c 1024 /dev/urandom >"$scratch/munge/key"
chmod 400 "$scratch/munge/key"
munged --force --key-file="$scratch/munge/key" --socket="$scratch/munge/socket" \
  --pid-file="$scratch/munge/pid" --seed-file="$scratch/munge/seed" \
  --log-file="$scratch/log/munged.log"  # returns when it listens
host="$(hostname -s)"
export SLURM_CONF="$scratch/slurm.conf"
cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$scratch/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd.pid
SlurmctldLogFile=$scratch/log/slurmctld.log
SlurmdLogFile=$scratch/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
MessageTimeout=60
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=16000 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
slurmctld -D >"$scratch/log/slurmctld.out.log" 2>&1 &
daemons+=($!)
slurmd -D -N "$host" >"$scratch/log/slurmd.out.log" 2>&1 &
daemons+=($!)
srun_within 60 "the node's coming up"
echo "$(sbatch --version), one node of $(nproc) processors"

# ---- the cases: PyRadiomics' and the sarcomas', and one that is not there
{
  echo "id,image,mask,label,origin"
  for name in brain1 brain2 breast1; do
    echo "$name,$images/${name}_image.nrrd,$images/${name}_label.nrrd,1,PyRadiomics"
  done
  for image in "$sarcoma"/*/MR_T1_image.nii.gz; do
    folder="$(dirname "$image")"
    echo "$(basename "$folder"),$image,$folder/MR_T1_mask.nii.gz,1,sarcoma"
  done
  echo "gone,$scratch/gone.nrrd,$scratch/gone.nrrd,1,nowhere"
} >"$scratch/cases.csv"
settings="$root/deploy/studies/sts-mr/params.yaml"
# What the array is compared with. Exit code 1: the case that is not there.
code=0
"$CONSILIUM_EXTRACT" "$scratch/cases.csv" --settings "$settings" --out "$scratch/whole" || code=$?
((code == 1)) || fail "the run without shards ended with $code, expected 1"

state_of() { scontrol -o show job "$1" | grep -o ' JobState=[A-Z]*' | sort -u; }
# expect_end SECONDS JOB WHAT
expect_end() {
  srun_within "$1" "$3" --dependency="afterany:$2"
  [[ "$(state_of "$2")" == ' JobState=COMPLETED' ]] || fail "$3 failed:$(state_of "$2")"
}
expect_same() {
  for table in features.csv problems.csv; do
    cmp "$scratch/whole/$table" "$1/$table" || fail "$2: $table differs from the run without shards"
  done
  echo "$2: features.csv and problems.csv are those of the run without shards, byte for byte"
}
submit() { "$root/deploy/slurm/submit.sh" "$@" --cpus-per-task=1 --mem-per-cpu=2G; }

# ---- an array and its merge
submit -n 3 "$scratch/cases.csv" "$settings" "$scratch/array" | tee "$scratch/jobs"
merge="$(awk '$1 == "merge" {print $2}' "$scratch/jobs")"
expect_end 300 "$merge" "the merge of the array"
for shard in 1 2 3; do
  rows=$(($(wc -l <"$scratch/array/shard-$shard/features.csv") - 1))
  ((rows > 0 && rows < $(wc -l <"$scratch/cases.csv") / 2)) || fail "shard $shard of 3 has $rows rows"
done
expect_same "$scratch/array" "three shards"

# ---- the same on a disk of the node, told to stop after its first case
mkdir "$scratch/disk"
CONSILIUM_SCRATCH="$scratch/disk" submit -n 1 "$scratch/cases.csv" "$settings" "$scratch/stopped" \
  | tee "$scratch/jobs"
array="$(awk '$1 == "extract" {print $2}' "$scratch/jobs")"
merge="$(awk '$1 == "merge" {print $2}' "$scratch/jobs")"
log="$scratch/stopped/extract-${array}_1.log"
grep -q -m 1 '^[1-9][0-9]* of ' < <(timeout 120 tail -n +1 -F "$log" 2>/dev/null) ||
  fail "the first case did not come"
scancel --batch --signal=TERM "${array}_1"
expect_end 300 "$merge" "the merge after the stop"
scontrol -o show job "${array}_1" | grep -q ' Restarts=1 ' || fail "the task was not queued again"
grep -q 'Stopped after' "$scratch"/stopped/extract-*.log || fail "the task was not stopped"
[[ -z "$(ls "$scratch/disk")" ]] || fail "the node's disk was not cleaned"
expect_same "$scratch/stopped" "stopped and queued again"
