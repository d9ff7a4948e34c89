#!/usr/bin/env bash
# Measures the kernels of the CPU backend and prints one table: jmh/run.sh --help
#
# Builds the benchmarks' jar where it is missing or older than its sources, then starts Java (25 or
# newer, found by itself). FATHOM_JAVA_HOME names the JDK.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

. "$root/.mvn/find-jdk.sh"
JAVA_HOME=$(find_jdk)
export JAVA_HOME

jar=$root/jmh/target/benchmarks.jar

# Prints something if the jar is missing or older than a source.
stale() {
  local module
  if [ ! -f "$jar" ] || [ "$root/pom.xml" -nt "$jar" ]; then
    printf 'stale\n'
    return
  fi
  for module in quant moe kvcache core cpu-backend jmh; do
    find "$root/$module/pom.xml" "$root/$module/src/main" -newer "$jar" 2>/dev/null | head -n 1
  done
}

if [ -n "$(stale)" ]; then
  printf 'building the benchmarks, about a minute\n' >&2
  mkdir -p "$root/jmh/target"
  log=$root/jmh/target/build.log
  (cd "$root" &&
    ./mvnw -B -q -ntp -Dmaven.test.skip=true -pl jmh -am -Pbenchmarks package >"$log" 2>&1) ||
    {
      cat "$log" >&2
      printf 'jmh/run.sh: the build failed, see above\n' >&2
      exit 2
    }
  touch "$jar"
fi

# Results are returned, not dropped, so the JVM's blackholes need not be looked for in each fork.
exec "$JAVA_HOME/bin/java" \
  --add-modules=jdk.incubator.vector \
  --sun-misc-unsafe-memory-access=allow \
  -Djmh.blackhole.autoDetect=false \
  -cp "$jar" \
  dev.fathom.jmh.BenchmarkRun --results "$root/jmh/target" "$@"
