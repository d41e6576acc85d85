#!/bin/sh
# Do two machines train together as one process does? Two network namespaces stand in for the machines.
#
#   benchmarks/two_nodes.sh [PYTHON [RANK]]
#
# Each namespace runs torchrun with one process; a pair of virtual cables joins them. They train `tiny` for 20 steps into
# the same folder, in float64; every loss must be that of one process, to 1e-9. The process of RANK is killed on the way
# and started again. Needs root and `ip` (iproute2). Prints a line of JSON; exit status 1 where a loss differs, 2 where
# namespaces cannot be made. What it makes, it removes.
set -eu

python=${1:-python}
rank=${2:-}
name=frcnn$$
folder=$(mktemp -d)
first=""
second=""

clean_up() {
    for process in $first $second; do kill "$process" 2>/dev/null || true; done
    wait
    for side in a b; do ip netns del "$name$side" 2>/dev/null || true; done
    rm -rf "$folder"
}

if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null; then
    echo "two_nodes.sh: needs root and ip (apt-get install iproute2)" >&2
    exit 2
fi
trap clean_up EXIT
trap 'exit 130' INT TERM

ip netns add "${name}a" || { echo "two_nodes.sh: no network namespaces can be made here" >&2; exit 2; }
ip netns add "${name}b"
ip link add "${name}a" type veth peer name "${name}b"
for side in a b; do
    [ $side = a ] && address=10.47.11.1 || address=10.47.11.2
    ip link set "$name$side" netns "$name$side" name eth0
    ip -n "$name$side" address add $address/24 dev eth0
    ip -n "$name$side" link set eth0 up
    ip -n "$name$side" link set lo up
done

export OMP_NUM_THREADS=1 GLOO_SOCKET_IFNAME=eth0
settings="model.input.short_side=64 model.input.long_side=96 data.validation=0.1 data.workers=1 train.batch_size=5
    train.steps=20 train.warmup_steps=5 train.log_every=1 train.checkpoint_every=5 train.precision=float64"

on_machine() {  # both have this machine's name, so that neither can tell by it whose address the endpoint is
    side=$1 address=$2 is_host=$3
    shift 3
    exec ip netns exec "$name$side" "$python" -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --max-restarts 1 \
        --rdzv-backend c10d --rdzv-endpoint 10.47.11.1:29400 --rdzv-id "$name" --rdzv-conf "is_host=$is_host" \
        --local-addr "$address" "$@"
}

kill_rank() {  # of the processes that the two torchruns have started
    until grep -q '"step": 7,' "$folder/two/metrics.jsonl" 2>/dev/null; do sleep 0.05; done
    for child in $(cat "/proc/$first/task/$first/children" "/proc/$second/task/$second/children"); do
        if tr '\0' '\n' <"/proc/$child/environ" | grep -qx "RANK=$rank"; then kill -KILL "$child"; fi
    done
}

"$python" -m frcnn data sample "$folder/data" --pictures 24 >&2
request="-m frcnn train tiny --data $folder/data --out $folder/two --set $settings"
# shellcheck disable=SC2086  (words are meant)
on_machine a 10.47.11.1 1 $request >"$folder/a.log" 2>&1 &
first=$!
# shellcheck disable=SC2086
on_machine b 10.47.11.2 0 $request >"$folder/b.log" 2>&1 &
second=$!
[ -z "$rank" ] || kill_rank
# shellcheck disable=SC2086
"$python" -m frcnn train tiny --data "$folder/data" --out "$folder/one" --set $settings >"$folder/one.log" 2>&1
for process in $first $second; do
    wait "$process" || { cat "$folder/a.log" "$folder/b.log" >&2; exit 1; }
done
first="" second=""

"$python" - "$folder" "$rank" <<'END'
import json, sys
from pathlib import Path

from frcnn.evaluation.history import read_history

LOSSES = ("rpn_objectness", "rpn_box", "head_class", "head_box", "total")
folder = Path(sys.argv[1])
history = read_history(folder / "two" / "metrics.jsonl")
one, two = read_history(folder / "one" / "metrics.jsonl").steps, history.steps
apart = max(abs(a[name] - b[name]) for a, b in zip(one, two, strict=True) for name in LOSSES)
said = "2 processes" in (folder / "a.log").read_text() + (folder / "b.log").read_text()
equal = said and len(two) == 20 and apart <= 1e-9 and history.starts == (2 if sys.argv[2] else 1)
line = {"machines": 2, "steps": len(two), "starts": history.starts, "largest_difference": apart, "equal": equal}
print(json.dumps(line))
sys.exit(not equal)
END
