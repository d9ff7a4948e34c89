#!/usr/bin/env bash
# Measures released JVM engines and Fathom by turns on one checkpoint of Qwen2-1.5B's shape.
#
# Opt-in and no part of Fathom's build: Maven downloads the other engine into its own repository,
# its class path is used by this script alone. The checkpoint has random weights and takes 3.3 GiB,
# Jlama's 4-bit form of it 1.1 GiB.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)

usage() {
  cat <<EOF
Usage: jmh/other-engines/run.sh [--prompt N] [--generate N] [--runs N] [--threads N]
                                [--rounds N] [--folder FOLDER]

  --prompt N       Tokens of the prompt; default: 256.
  --generate N     Tokens of the answer; default: 24.
  --runs N         Runs that count in a JVM, after one that does not; default: 3.
  --threads N      Threads of an engine; default: 2.
  --rounds N       How often the engines take turns, each time in a new JVM; default: 3.
  --folder FOLDER  Where the checkpoints are made and kept; default: jmh/target.
EOF
}

prompt=256 generate=24 runs=3 threads=2 rounds=3 folder=$root/jmh/target
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --prompt | --generate | --runs | --threads | --rounds | --folder) ;;
    *)
      printf 'run.sh: must be one of --prompt, --generate, --runs, --threads, --rounds, --folder, --help: option=%s\n' "$1" >&2
      exit 2
      ;;
  esac
  name=${1#--}
  if [ $# -lt 2 ]; then
    printf 'run.sh: must be followed by a value: option=%s\n' "$1" >&2
    exit 2
  fi
  case $name=$2 in
    folder=*) ;;
    *=[1-9] | *=[1-9][0-9] | *=[1-9][0-9][0-9] | *=[1-9][0-9][0-9][0-9]) ;;
    *)
      printf 'run.sh: must be 1 <= number <= 9999: %s=%s\n' "$name" "$2" >&2
      exit 2
      ;;
  esac
  printf -v "$name" '%s' "$2"
  shift 2
done

. "$root/.mvn/find-jdk.sh"
JAVA_HOME=$(find_jdk)
export JAVA_HOME

mkdir -p "$folder" "$root/jmh/target"
folder=$(cd "$folder" && pwd -P)
log=$root/jmh/target/other-engines.log
: >"$log"

class_path_file=$root/jmh/target/jlama-class-path.txt
if [ ! -s "$class_path_file" ] || [ "$here/pom.xml" -nt "$class_path_file" ]; then
  printf 'finding Jlama and what it needs\n' >&2
  (cd "$root" && ./mvnw -B -q -ntp -f "$here/pom.xml" dependency:build-classpath \
    -Dmdep.outputFile="$class_path_file") >>"$log" 2>&1 || {
    cat "$log" >&2
    printf 'run.sh: Jlama was not found, see above\n' >&2
    exit 2
  }
fi

java_with_jlama() {
  "$JAVA_HOME/bin/java" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    --sun-misc-unsafe-memory-access=allow -cp "$(cat "$class_path_file")" "$@" 2>>"$log"
}

model=$folder/qwen2-1.5b
quantized=$folder/qwen2-1.5b-jlama-q4
if [ ! -f "$model/.complete" ]; then
  rm -rf "$model"
  "$root/fathom" synth --config=qwen2-1.5b --weights=bf16 "$model" >&2
  : >"$model/.complete"
fi
if [ ! -f "$quantized/.complete" ]; then
  rm -rf "$quantized"
  printf 'quantizing for Jlama\n' >&2
  java_with_jlama "$here/JlamaQuantize.java" "$model" "$quantized" >&2
  : >"$quantized/.complete"
fi

# Prints the number under key $1 of the JSON document on standard input.
number() {
  sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" | head -n 1 | xargs printf '%.1f'
}

fathom_row() {
  local json
  json=$("$root/fathom" bench "$model" --json --backend cpu --weights "$1" --prompt "$prompt" \
    --generate "$generate" --runs "$runs" --threads "$threads" 2>>"$log") || return 1
  printf '| Fathom | %s | %s ± %s | %s ± %s |\n' "$1" \
    "$(number prompt_tokens_per_second <<<"$json")" "$(number prompt_deviation <<<"$json")" \
    "$(number generated_tokens_per_second <<<"$json")" "$(number generated_deviation <<<"$json")"
}

jlama_row() {
  java_with_jlama "$here/JlamaBench.java" "$1" "$2" "$prompt" "$generate" "$runs" "$threads"
}

failed=0
row() {
  "$@" || {
    printf 'failed, see %s: %s\n' "$log" "$*" >&2
    failed=1
  }
}

printf 'Qwen2-1.5B, random weights; prompt %s, generate %s, threads %s; %s\n\n' \
  "$prompt" "$generate" "$threads" "$(date -u '+%Y-%m-%d %H:%M UTC')"
printf '| engine | weights | prompt, tok/s | generation, tok/s |\n|---|---|---|---|\n'
for ((round = 0; round < rounds; round++)); do
  row fathom_row bf16
  row jlama_row "$model" bf16
  row fathom_row int4
  row jlama_row "$quantized" q4
done
exit "$failed"
